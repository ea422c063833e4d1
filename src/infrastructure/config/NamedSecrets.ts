import { Schema, SchemaTransformation } from "effect"
import type { Kind } from "./Setting.ts"

/** A secret, and the name of its holder. */
export interface NamedSecret {
  readonly name: string
  readonly secret: string
}

const one = /[A-Za-z0-9][A-Za-z0-9_.-]{0,63}:[!-+\--~]{16,256}/.source

const schema = Schema.String.check(Schema.isPattern(new RegExp(`^\\s*${one}(?:\\s*,\\s*${one})*\\s*$`))).pipe(
  Schema.decodeTo(
    Schema.Array(Schema.Struct({ name: Schema.String, secret: Schema.String })).check(
      Schema.makeFilter(
        (keys: ReadonlyArray<NamedSecret>) =>
          new Set(keys.map(({ name }) => name)).size === keys.length || "a name occurs twice"
      )
    ),
    SchemaTransformation.transform({
      decode: (text): ReadonlyArray<NamedSecret> =>
        text.split(",").map((part) => {
          const [name = "", ...secret] = part.trim().split(":")
          return { name, secret: secret.join(":") }
        }),
      encode: (keys: ReadonlyArray<NamedSecret>) =>
        keys.map(({ name, secret }) => `${name}:${secret}`).join(",")
    })
  )
)

/**
 * Names with their secrets. A secret has no comma, which separates entries, and no white space, which a header could
 * not carry.
 */
export const namedSecrets: Kind<ReadonlyArray<NamedSecret>> = {
  schema,
  allowed:
    "a list of name:secret with distinct names, each name at most 64 letters, digits, _, . and -, " +
    "each secret 16 to 256 visible ASCII characters without a comma",
  secret: true,
  list: true
}
