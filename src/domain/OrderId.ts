import { Schema, SchemaTransformation } from "effect"

/**
 * The id of an order: a UUID. Decoding accepts upper and lower case (RFC 9562) and returns lower case. The
 * program, and not the database, generates the id (version 7, which sorts by time), so that a submit whose
 * reply was lost can be repeated with the same id.
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
