import { Schema, SchemaTransformation } from "effect"

const tag = String.raw`(?:W/)?"[\x21\x23-\x7E\x80-\xFF]*"`
// RFC 9110 allows empty list elements.
const tags = new RegExp(String.raw`^(?:\*|(?:,[ \t]*)*${tag}(?:[ \t]*,(?:[ \t]*${tag})?)*)$`)

/** The versions that these tags name. A weak tag never matches, and a tag that is not a version is ignored. */
const versionsOf = (text: string): ReadonlyArray<number> =>
  Array.from(text.matchAll(/(W\/)?"([^"]*)"/g), ([, weak, version = ""]) =>
    weak === undefined && /^[1-9]\d{0,8}$/.test(version) ? [Number(version)] : []
  ).flat()

/**
 * The precondition `If-Match` (RFC 9110, 13.1.1) as the versions that it names: ETags of the order, in quotes. `*` is
 * null and matches every existing order, as if the header were absent.
 */
export const IfMatch = Schema.optionalKey(
  Schema.String.check(Schema.isPattern(tags, { expected: 'ETags of the order, like "3", or *' }))
    .annotate({
      description: "The ETag of the order: the call is done only if the order still has this version."
    })
    .pipe(
      Schema.decodeTo(
        Schema.NullOr(Schema.Array(Schema.Int)),
        SchemaTransformation.transform({
          decode: (text) => (text === "*" ? null : versionsOf(text)),
          encode: (versions) =>
            // Without a version: a tag that no order has, so that nothing matches.
            versions === null ? "*" : versions.map((version) => `"${version}"`).join(", ") || '""'
        })
      )
    )
)
