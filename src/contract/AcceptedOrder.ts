import { Schema } from "effect"
import { OrderId } from "../domain/OrderId.ts"

/** The response to a submit, a reprocess, a cancel or a run. */
export const AcceptedOrder = Schema.Struct({ orderId: OrderId }).annotate({ identifier: "AcceptedOrder" })
