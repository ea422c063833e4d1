import { Schema, SchemaTransformation } from "effect"

/**
 * Identifies one order: a UUID, read in either case (RFC 9562) and lower case from then on. We make it ourselves
 * (version 7, so that ids made later sort later), not the database, so that a submit whose answer got lost can be
 * repeated by id.
 */
export const OrderId = Schema.String.annotate({ format: "uuid" }).pipe(
  Schema.decodeTo(
    Schema.String.check(
      Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, {
        expected: "a UUID"
      })
    ).pipe(Schema.brand("OrderId")),
    SchemaTransformation.toLowerCase()
  )
)
export type OrderId = typeof OrderId.Type
