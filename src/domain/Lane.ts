import { Schema } from "effect"
import { maxGroupLength } from "./Groups.ts"

// An order's type, ordering key and group decide which other orders it waits for.

/** The name of an order type: 1 to 64 of the characters a-z 0-9 . _ - */
export const TypeName = Schema.String.check(
  Schema.isPattern(/^[a-z0-9._-]{1,64}$/, { expected: "1 to 64 of the characters a-z 0-9 . _ -" })
)

// PostgreSQL cannot store U+0000 and lone surrogates; other control characters would garble logs and tables.
const name = Schema.String.check(
  Schema.isBetweenCodePoints(1, maxGroupLength, { expected: `1 to ${maxGroupLength} characters` }),
  Schema.isPattern(/^[ -~\u00A0-\uFFFF]*$/, { expected: "no control characters" }),
  Schema.makeFilter((text: string) => text.isWellFormed() || "Expected no lone surrogates")
)

/** The ordering key of an order: 1 to 200 characters without control characters. */
export const OrderingKey = name

/** The name of a group: 1 to 200 characters without control characters. */
export const GroupName = name

/** The type, ordering key and group of a submission. */
export const Lane = Schema.Struct({
  type: Schema.optional(TypeName),
  orderingKey: Schema.optional(OrderingKey),
  group: Schema.optional(GroupName)
})
