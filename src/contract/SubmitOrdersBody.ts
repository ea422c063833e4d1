import { Schema } from "effect"
import { maxSubmissions } from "../domain/Order.ts"
import { OrderId } from "../domain/OrderId.ts"
import { Problems } from "./Problems.ts"

/** The body of `POST /orders/bulk`: a list of bodies of `POST /orders`. */
export const submitOrdersBody = <Order extends Schema.Constraint>(order: Order) =>
  Schema.Struct({
    orders: Schema.Array(order).check(
      Schema.isMaxLength(maxSubmissions, { expected: `at most ${maxSubmissions} orders` })
    )
  }).annotate({ identifier: "SubmitOrders" })

/** One result for each submitted order, in the sequence of the request. */
export const SubmittedOrders = Schema.Struct({
  results: Schema.Array(
    Schema.Union([
      Schema.Struct({ orderId: OrderId }),
      Schema.Struct({ problem: Schema.Union([Problems.InvalidRequest, Problems.GroupOverloaded]) })
    ])
  )
}).annotate({ identifier: "SubmittedOrders" })
