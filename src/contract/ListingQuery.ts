import { Effect, Schema } from "effect"

/** The cursor of a page, as returned with the previous page: opaque, and valid only for the same query. */
export const Cursor = Schema.String.check(
  // One pattern, without a separate minimum length, so that an empty cursor causes a single issue.
  Schema.isPattern(/^(?:[\w-]{4})*(?:[\w-]{2,4})$/, { expected: "a cursor returned with the previous page" })
).annotate({ description: "As returned with the previous page of the same query; opaque." })

/** The maximum number of entries of a page. */
export const Limit = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 200 }, { expected: "a whole number from 1 to 200" })
).pipe(Schema.withDecodingDefaultKey(Effect.succeed(50)))

/** The query of a list without filters. */
export const pageQuery = { limit: Limit, cursor: Schema.optionalKey(Cursor) }

/** The text of a filter. PostgreSQL rejects U+0000 in a parameter. */
export const filterText = (maxLength: number) =>
  Schema.String.check(
    Schema.isMaxCodePoints(maxLength, { expected: `at most ${maxLength} characters` }),
    Schema.makeFilter(
      (text: string) =>
        !text.includes("\u0000") || "Expected text without U+0000: no stored text contains this character"
    )
  )
