import { Schema } from "effect"

/**
 * Identifies one order: a UUID in lower case. We make it ourselves (version 7, RFC 9562, so that ids made
 * later sort later), not the database, so that a submit whose answer got lost can be repeated by id.
 */
export const OrderId = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, {
    expected: "a UUID in lower case"
  })
).pipe(Schema.brand("OrderId"))
export type OrderId = typeof OrderId.Type
