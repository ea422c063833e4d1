import { Effect, Schema } from "effect"

/** Where the next page begins: opaque to clients, as the page before gave it, and valid for the same query only. */
export const Cursor = Schema.String.check(
  // One issue, so that an empty cursor is not reported twice.
  Schema.isPattern(/^(?:[\w-]{4})*(?:[\w-]{2,4})$/, { expected: "a cursor as given by the page before" })
).annotate({ description: "From the page before, for the same query; opaque." })

/** How many entries a page has at most. */
export const Limit = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 200 }, { expected: "a whole number from 1 to 200" })
).pipe(Schema.withDecodingDefaultKey(Effect.succeed(50)))

/** The text of a filter: what nothing stored has in it is refused before it gets to a store that cannot take it. */
export const filterText = (maxLength: number) =>
  Schema.String.check(
    Schema.isMaxCodePoints(maxLength, { expected: `at most ${maxLength} characters` }),
    Schema.makeFilter(
      (text: string) => !text.includes("\u0000") || "U+0000 is never stored, so nothing has it"
    )
  )
