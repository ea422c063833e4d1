import { Schema, SchemaTransformation } from "effect"
import type { Kind } from "./Setting.ts"

// An origin in the form that browsers send: lower case, no default port, no path. Any other form would never
// equal the `Origin` header of a request.
const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text

/** Web origins. `*` is refused, because it would let every web page call this server from the browsers that reach it. */
export const origins: Kind<ReadonlyArray<string>> = {
  schema: Schema.String.pipe(
    Schema.decodeTo(
      Schema.Array(
        Schema.String.check(
          Schema.isPattern(/^https?:\/\//),
          Schema.makeFilter((text: string) => isOrigin(text))
        )
      ),
      SchemaTransformation.transform({
        decode: (text): ReadonlyArray<string> => text.split(",").map((part) => part.trim()),
        encode: (all: ReadonlyArray<string>) => all.join(",")
      })
    )
  ),
  allowed:
    "a list of origins like https://shop.example, with the port unless it is the default, and without a path",
  secret: false,
  list: true
}
