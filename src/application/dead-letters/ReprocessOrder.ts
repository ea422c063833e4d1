import { Effect, Metric } from "effect"
import type { OrderId } from "../../domain/OrderId.ts"
import { deadLettersReprocessed } from "./DeadLetterMetrics.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import { DeadLetterStore } from "../ports/DeadLetterStore.ts"

/** Takes an order out of the dead letter queue and makes it due again, then announces it. */
export const reprocessOrder = Effect.fn("ReprocessOrder")(function* (
  id: OrderId,
  options?: { readonly ifVersion?: number }
) {
  const store = yield* DeadLetterStore
  const wakeUp = yield* WakeUp
  const order = yield* store.reprocess(id, options)
  yield* store.afterCommit(Metric.update(deadLettersReprocessed, 1))
  yield* store.afterCommit(wakeUp.announce(1))
  return order
})
