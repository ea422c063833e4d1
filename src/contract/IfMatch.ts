import { Schema, SchemaTransformation } from "effect"

const tag = String.raw`(?:W/)?"[\x21\x23-\x7E\x80-\xFF]*"`
// A list may have empty places.
const tags = new RegExp(String.raw`^(?:\*|(?:,[ \t]*)*${tag}(?:[ \t]*,(?:[ \t]*${tag})?)*)$`)

/** The versions that these tags name. A weak one never matches, and one that is no version names none. */
const versionsOf = (text: string): ReadonlyArray<number> =>
  Array.from(text.matchAll(/(W\/)?"([^"]*)"/g), ([, weak, version = ""]) =>
    weak === undefined && /^[1-9]\d{0,8}$/.test(version) ? [Number(version)] : []
  ).flat()

/**
 * The precondition `If-Match` (RFC 9110, 13.1.1) as the versions that it names: ETags of the order, in quotes. `*` is
 * null, and holds for every order that is there, as does its absence.
 */
export const IfMatch = Schema.optionalKey(
  Schema.String.check(Schema.isPattern(tags, { expected: 'ETags of the order, like "3", or *' }))
    .annotate({ description: "Only if the order is in this version: its ETag." })
    .pipe(
      Schema.decodeTo(
        Schema.NullOr(Schema.Array(Schema.Int)),
        SchemaTransformation.transform({
          decode: (text) => (text === "*" ? null : versionsOf(text)),
          encode: (versions) =>
            // A tag of no order where there is no version: it holds for none.
            versions === null ? "*" : versions.map((version) => `"${version}"`).join(", ") || '""'
        })
      )
    )
)
