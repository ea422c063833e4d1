import { Effect } from "effect"
import { WorkStore } from "../ports/WorkStore.ts"
import { aboutOrder } from "./WorkerState.ts"
import { recordExpired } from "./WorkMetrics.ts"

/** The maximum number of orders that one statement expires. */
const maxExpired = 256

/**
 * Expires orders of workers whose lease has ended. Every worker does this for all workers. The SQL is in
 * infrastructure/postgres/functions/ExpireLeases.ts.
 */
export const expireLeases = Effect.gen(function* () {
  const store = yield* WorkStore
  const orders = yield* store.expire(maxExpired)
  // The lost worker held no order, or another worker has locked its orders, to expire or to settle them. The pause
  // prevents a busy loop of claims until that worker is done.
  if (orders.length === 0) return yield* Effect.sleep("50 millis")
  for (const order of orders) {
    yield* recordExpired(order)
    const isCancelled = order.status === "FAILED" && order.discardedAt !== null
    yield* Effect.logWarning(
      `Order ${order.id} lost its worker and is now ${isCancelled ? "cancelled" : order.status}.`
    ).pipe(aboutOrder(order))
  }
})
