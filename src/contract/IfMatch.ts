import { Schema, SchemaTransformation } from "effect"

const tag = String.raw`(?:W/)?"[\x21\x23-\x7E\x80-\xFF]*"`
// RFC 9110 allows empty list elements.
const tags = new RegExp(String.raw`^(?:\*|(?:,[ \t]*)*${tag}(?:[ \t]*,(?:[ \t]*${tag})?)*)$`)

/**
 * The order versions in the ETags of the header. A weak tag never matches, and a tag that is not a version is
 * ignored.
 */
const versionsOf = (text: string): ReadonlyArray<number> =>
  Array.from(text.matchAll(/(W\/)?"([^"]*)"/g), ([, weak, version = ""]) =>
    weak === undefined && /^[1-9]\d{0,8}$/.test(version) ? [Number(version)] : []
  ).flat()

/**
 * The header `If-Match` (RFC 9110, 13.1.1) as the order versions that it names. `*` becomes null and matches every
 * existing order, as if the header were absent.
 */
export const IfMatch = Schema.optionalKey(
  Schema.String.check(Schema.isPattern(tags, { expected: 'ETags of the order, like "3", or *' }))
    .annotate({
      description: "ETags of the order. The call fails with 412 if the order has none of these versions."
    })
    .pipe(
      Schema.decodeTo(
        Schema.NullOr(Schema.Array(Schema.Int)),
        SchemaTransformation.transform({
          decode: (text) => (text === "*" ? null : versionsOf(text)),
          encode: (versions) =>
            // An empty list encodes to `""`, a valid ETag that matches no order.
            versions === null ? "*" : versions.map((version) => `"${version}"`).join(", ") || '""'
        })
      )
    )
)
