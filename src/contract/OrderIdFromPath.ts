import { Schema, SchemaTransformation } from "effect"
import { OrderId } from "../domain/OrderId.ts"

/** The order's id in a path: a UUID in either case (RFC 9562 reads both), in lower case from then on. */
export const OrderIdFromPath = Schema.String.annotate({
  format: "uuid",
  description: "The order's id."
}).pipe(
  Schema.decodeTo(
    OrderId,
    SchemaTransformation.transform({ decode: (text) => text.toLowerCase(), encode: (id) => id })
  )
)
