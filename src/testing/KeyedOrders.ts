import { Duration, Effect } from "effect"
import type { KeyedOrders } from "../application/ports/IntakeStore.ts"
import type { NewOrder } from "../domain/Order.ts"
import { allStores } from "./AllStores.ts"
import { newOrder } from "./NewOrders.ts"

/** How long the stores keep the answers of the calls that `keyedOrder` makes. */
export const keepFor = Duration.hours(24)

/** A call with a key and one new order; a different call each time. */
export const keyedOrder = (
  key: string,
  fingerprint = "same",
  parts: Partial<KeyedOrders> = {}
): KeyedOrders => {
  const order = newOrder()
  return {
    scope: "caller",
    key,
    fingerprint,
    requestId: order.id,
    orders: [order],
    answer: `answer ${order.id}`,
    keepFor,
    ...parts
  }
}
export const ordersOf = (...keyed: ReadonlyArray<KeyedOrders>) => keyed.flatMap(({ orders }) => orders)

/**
 * Submits the orders, and returns for each key the id of the request that took it; undefined if another call
 * is still taking the key.
 */
export const requestIdsOf = Effect.fnUntraced(function* (
  orders: ReadonlyArray<NewOrder>,
  keyed: ReadonlyArray<KeyedOrders>
) {
  const { intake } = yield* allStores
  const answers = yield* intake.submit(orders, keyed)
  return answers.map((answer) => answer?.requestId)
})
