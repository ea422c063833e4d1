import { Schema, SchemaTransformation } from "effect"
import { isTypeName } from "../../domain/OrderType.ts"
import type { Kind } from "./Setting.ts"

/** Names of order types. */
export const typeNames: Kind<ReadonlyArray<string>> = {
  schema: Schema.String.pipe(
    Schema.decodeTo(
      Schema.Array(Schema.String.check(Schema.makeFilter((name: string) => isTypeName(name)))),
      SchemaTransformation.transform({
        decode: (text): ReadonlyArray<string> => text.split(",").map((part) => part.trim()),
        encode: (names: ReadonlyArray<string>) => names.join(",")
      })
    )
  ),
  allowed: "a list of names of order types, each 1 to 64 of the characters a-z 0-9 . _ -",
  secret: false,
  list: true
}
