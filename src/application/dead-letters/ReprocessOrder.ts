import { Effect, Metric } from "effect"
import { counter, register } from "../../concurrency/Measure.ts"
import type { Operator } from "../../domain/Audit.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { DeadLetterStore } from "../ports/DeadLetterStore.ts"
import { WakeUp } from "../ports/WakeUp.ts"

/** Orders reprocessed by this process. */
const deadLettersReprocessed = counter("order_dlq_reprocessed_total", "Orders reprocessed from the DLQ")

export const registerDeadLetterMetrics = register(deadLettersReprocessed)

/**
 * Makes the order of a dead letter due again with its attempt count reset to zero, and announces it to the
 * workers after the commit.
 */
export const reprocessOrder = Effect.fn("ReprocessOrder")(function* (
  id: OrderId,
  options?: { readonly ifVersion?: number; readonly operator?: Operator }
) {
  const store = yield* DeadLetterStore
  const wakeUp = yield* WakeUp
  const order = yield* store.reprocess(id, options)
  yield* store.afterCommit(Effect.andThen(Metric.update(deadLettersReprocessed, 1), wakeUp.announce(1)))
  return order
})
