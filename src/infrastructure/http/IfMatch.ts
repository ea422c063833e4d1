import { Schema, SchemaTransformation } from "effect"

/**
 * The precondition `If-Match` (RFC 9110, 13.1.1) as the version it names: the ETag of an order, in quotes.
 * `*` names no version, as does its absence. Weak tags and lists are refused rather than never matched.
 */
export const IfMatch = Schema.optionalKey(
  Schema.String.check(
    Schema.isPattern(/^(?:\*|"[1-9]\d{0,8}")$/, { expected: 'an ETag of the order, like "3", or *' })
  )
    .annotate({ description: "Only if the order is in this version: its ETag." })
    .pipe(
      Schema.decodeTo(
        Schema.NullOr(Schema.Int),
        SchemaTransformation.transform({
          decode: (tag) => (tag === "*" ? null : Number(tag.slice(1, -1))),
          encode: (version) => (version === null ? "*" : `"${version}"`)
        })
      )
    )
)
