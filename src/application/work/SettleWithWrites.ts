import { Cause, Effect, Exit } from "effect"
import { pauseAfterError } from "../../concurrency/PauseAfterError.ts"
import type { Outcome } from "../../domain/Order.ts"
import type { Writes } from "../ports/OrderProcessor.ts"
import { OutcomeNotStorable, WorkStore } from "../ports/WorkStore.ts"
import { announceRoom } from "./AnnounceRoom.ts"
import { AttemptTimeout, outcomeOfFailure } from "./AttemptOutcome.ts"
import { reportSettled } from "./SettleAttempts.ts"
import type { Attempt, WorkerState } from "./WorkerState.ts"

const completed: Outcome = { event: "completed" }

/**
 * Commits the writes of a successful attempt in one transaction with its outcome. Returns null if both are
 * stored, or if the worker had lost the order. Returns the outcome of the attempt if its writes failed and
 * nothing was stored. Retries while the store is unavailable, within the time limit of an attempt.
 */
export const settleWithWrites = Effect.fnUntraced(function* (
  attempt: Attempt,
  writes: Writes["writes"],
  state: WorkerState
): Effect.fn.Return<Outcome | null, never, WorkStore> {
  const store = yield* WorkStore
  const { order } = attempt
  const { attemptTimeout } = attempt.typeState
  const exit = yield* store.settleWithWrites({ order, outcome: completed }, writes).pipe(
    Effect.tapErrorTag("OrdersUnavailable", () => pauseAfterError),
    Effect.retry({ while: (error) => error._tag === "OrdersUnavailable" }),
    state.writePermits.withPermit,
    Effect.timeoutOrElse({
      duration: attemptTimeout,
      orElse: () => new AttemptTimeout({ limit: attemptTimeout })
    }),
    Effect.exit
  )
  if (Exit.isFailure(exit)) {
    const defect = Cause.squash(exit.cause)
    // A bug of the store, which must not cost the order an attempt.
    if (defect instanceof OutcomeNotStorable) return yield* Effect.die(defect)
    return yield* outcomeOfFailure(attempt, exit.cause)
  }
  yield* reportSettled([{ order, outcome: completed, result: exit.value }])
  announceRoom([{ order, outcome: completed }], state)
  return null
})
