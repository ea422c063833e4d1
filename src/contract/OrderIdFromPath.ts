import { Schema } from "effect"
import { OrderId } from "../domain/OrderId.ts"

/** The order's id in a path. */
export const OrderIdFromPath = Schema.String.annotate({
  format: "uuid",
  description: "The order's id."
}).pipe(Schema.decodeTo(OrderId))
