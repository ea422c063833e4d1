import { Effect } from "effect"
import { noteExpired } from "../OrderMetrics.ts"
import { WorkStore } from "../ports/WorkStore.ts"

/** The most orders taken from lost workers by one statement. */
const maxRescue = 256

/** Takes orders whose lease ran out away from their lost workers; any worker does it for all. */
export const rescueOrders = Effect.gen(function* () {
  const store = yield* WorkStore
  const orders = yield* store.expire(maxRescue)
  // Another worker has them: look again, but do not spin meanwhile.
  if (orders.length === 0) return yield* Effect.sleep("50 millis")
  for (const order of orders) {
    yield* noteExpired(order)
    yield* Effect.logWarning(`Order ${order.id} lost its worker and is ${order.status} now.`).pipe(
      Effect.annotateLogs({ orderId: order.id, correlationId: order.correlationId })
    )
  }
})
