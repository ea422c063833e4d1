import { Effect, Schema } from "effect"

/** The start of the next page, as returned with the previous one: opaque to clients, and valid for the same query only. */
export const Cursor = Schema.String.check(
  // One pattern and no minimum length, so that an empty cursor is one issue.
  Schema.isPattern(/^(?:[\w-]{4})*(?:[\w-]{2,4})$/, { expected: "a cursor as given by the page before" })
).annotate({ description: "As returned with the previous page of the same query; opaque." })

/** The maximum number of entries of a page. */
export const Limit = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 200 }, { expected: "a whole number from 1 to 200" })
).pipe(Schema.withDecodingDefaultKey(Effect.succeed(50)))

/** The text of a filter. No stored text contains U+0000, and PostgreSQL cannot take it as a parameter. */
export const filterText = (maxLength: number) =>
  Schema.String.check(
    Schema.isMaxCodePoints(maxLength, { expected: `at most ${maxLength} characters` }),
    Schema.makeFilter(
      (text: string) => !text.includes("\u0000") || "U+0000 is never stored, so nothing has it"
    )
  )
