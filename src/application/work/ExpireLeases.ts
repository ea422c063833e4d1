import { Effect } from "effect"
import { WorkStore } from "../ports/WorkStore.ts"
import { aboutOrder } from "./WorkerState.ts"
import { recordExpired } from "./WorkMetrics.ts"

/** The maximum number of orders that one statement expires. */
const maxExpired = 256

/**
 * Expires orders whose lease has ended. Every worker does this for the orders of all workers. The SQL is in
 * infrastructure/postgres/work/ExpireLeases.ts.
 */
export const expireLeases = Effect.gen(function* () {
  const store = yield* WorkStore
  const orders = yield* store.expire(maxExpired)
  // Another worker has locked the orders whose lease has ended, to expire or to settle them. The pause prevents
  // a busy loop of claims until that worker is done.
  if (orders.length === 0) return yield* Effect.sleep("50 millis")
  for (const order of orders) {
    yield* recordExpired(order)
    yield* Effect.logWarning(`Order ${order.id} lost its worker and is now ${order.status}.`).pipe(
      aboutOrder(order)
    )
  }
})
