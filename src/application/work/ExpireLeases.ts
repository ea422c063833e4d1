import { Effect } from "effect"
import { WorkStore } from "../ports/WorkStore.ts"
import { recordExpired } from "./WorkMetrics.ts"

/** The most orders that one statement takes from lost workers. */
const maxExpired = 256

/** Takes orders whose lease has ended from their workers. Every worker does this for all others. */
export const expireLeases = Effect.gen(function* () {
  const store = yield* WorkStore
  const orders = yield* store.expire(maxExpired)
  // Another worker is expiring them. The pause keeps the claiming loop from spinning meanwhile.
  if (orders.length === 0) return yield* Effect.sleep("50 millis")
  for (const order of orders) {
    yield* recordExpired(order)
    yield* Effect.logWarning(`Order ${order.id} lost its worker and is ${order.status} now.`).pipe(
      Effect.annotateLogs({ orderId: order.id, correlationId: order.correlationId })
    )
  }
})
