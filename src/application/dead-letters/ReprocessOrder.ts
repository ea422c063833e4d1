import { Effect, Metric } from "effect"
import type { OrderId } from "../../domain/OrderId.ts"
import { DeadLetterStore } from "../ports/DeadLetterStore.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import { deadLettersReprocessed } from "./DeadLetterMetrics.ts"

/** Makes a dead letter due again with all its attempts, and announces it after the commit. */
export const reprocessOrder = Effect.fn("ReprocessOrder")(function* (
  id: OrderId,
  options?: { readonly ifVersion?: number }
) {
  const store = yield* DeadLetterStore
  const wakeUp = yield* WakeUp
  const order = yield* store.reprocess(id, options)
  yield* store.afterCommit(Effect.andThen(Metric.update(deadLettersReprocessed, 1), wakeUp.announce(1)))
  return order
})
