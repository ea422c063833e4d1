import { Cause, type Duration, Effect, Exit, type Semaphore } from "effect"
import type { Outcome, ProcessingOrder } from "../../domain/Order.ts"
import type { Writes } from "../ports/OrderProcessor.ts"
import { WorkStore, OutcomeNotStorable, type SettleResult } from "../ports/WorkStore.ts"
import { Late, outcomeOfFailure } from "./ProcessOrder.ts"
import { pauseBeforeRetry } from "../../concurrency/Backoff.ts"

/**
 * Commits the writes of a successful attempt together with its outcome. At most as many at the same time as there
 * are permits, so that they leave connections for claims and heartbeats. Answers the result of the settle, or the
 * outcome that the attempt has instead because its writes failed: nothing of them is stored then.
 */
export const settleWithWrites = (permits: Semaphore.Semaphore, attemptTimeout: Duration.Duration) =>
  Effect.fnUntraced(function* (
    order: ProcessingOrder,
    writes: Writes["writes"]
  ): Effect.fn.Return<SettleResult | Outcome, never, WorkStore> {
    const store = yield* WorkStore
    const exit = yield* store.settleWithWrites({ order, outcome: { event: "completed" } }, writes).pipe(
      Effect.tapErrorTag("OrdersUnavailable", () => pauseBeforeRetry),
      Effect.retry({ while: (error) => error._tag === "OrdersUnavailable" }),
      permits.withPermit,
      Effect.timeoutOrElse({ duration: attemptTimeout, orElse: () => new Late({ limit: attemptTimeout }) }),
      Effect.exit
    )
    if (Exit.isSuccess(exit)) return exit.value
    // Not the attempt's: the worker lets go of the order, which is released then.
    const defect = Cause.squash(exit.cause)
    if (defect instanceof OutcomeNotStorable) return yield* Effect.die(defect)
    return yield* outcomeOfFailure(order, exit.cause)
  })
