import { Duration, Effect, Queue, Random } from "effect"
import { pauseAfterError } from "../../concurrency/PauseAfterError.ts"
import { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import type { ProcessingOrder } from "../../domain/Order.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import { type Claim, WorkStore } from "../ports/WorkStore.ts"
import { expireLeases } from "./ExpireLeases.ts"
import { releaseClaimInDoubt } from "./ReleaseOrders.ts"
import { claimTimeout } from "./WorkerSettings.ts"
import type { WorkerState } from "./WorkerState.ts"
import { recordStarted } from "./WorkMetrics.ts"

/** The maximum number of orders that one statement claims. */
const maxClaim = 256

type StartAttempts = (orders: ReadonlyArray<ProcessingOrder>) => Effect.Effect<void>

/**
 * The claim loop of a worker. It waits for free slots, claims at most one due order for each free slot, and
 * starts an attempt for each order. If it found fewer orders than free slots, it waits for the first of
 * these: an announcement, the reschedule of an order by this worker, the time at which the next order becomes due, the
 * end of the next lease, the end of the poll interval. The loop never ends. The SQL is in
 * infrastructure/postgres/functions/ClaimOrders.ts.
 */
export const claimOrders = (
  state: WorkerState,
  startAttempts: StartAttempts
): Effect.Effect<never, never, WorkStore | WakeUp> =>
  releaseClaimInDoubt(state).pipe(
    Effect.andThen(state.slots.take(maxClaim)),
    Effect.flatMap((free) => claimAndWait(free, state, startAttempts)),
    Effect.catchTag("OrdersUnavailable", (error) =>
      Effect.andThen(Effect.logDebug(`Could not claim orders: ${error.message}`), retryLater(state))
    ),
    // Without this handler a defect would end the loop, and the worker would claim no more orders.
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("Could not claim orders", defect), retryLater(state))
    ),
    Effect.forever
  )

const retryLater = (state: WorkerState) =>
  Effect.suspend(() => {
    state.isClaimInDoubt = true
    return pauseAfterError
  })

const claimAndWait = Effect.fnUntraced(function* (
  free: number,
  state: WorkerState,
  startAttempts: StartAttempts
) {
  // Uninterruptible: even if the worker stops during the claim, every claimed order needs an attempt, which
  // processes or releases the order.
  const claimed = yield* Effect.uninterruptible(
    claim(free, state).pipe(
      Effect.onError(() => Effect.sync(() => state.slots.release(free))),
      Effect.tap(({ orders }) => {
        state.slots.release(free - orders.length)
        return startAttempts(orders)
      })
    )
  )
  yield* recordStarted(claimed.orders)
  const { nextLeaseEndIn, orders } = claimed
  if (nextLeaseEndIn !== null && Duration.toMillis(nextLeaseEndIn) <= 0) return yield* expireLeases
  if (orders.length < free) yield* waitForWork(claimed, state)
})

const claim = (max: number, { settings }: WorkerState) =>
  Effect.flatMap(WorkStore, (store) =>
    store.claim({ worker: settings.name, lease: settings.lease, max })
  ).pipe(
    Effect.timeoutOrElse({
      duration: claimTimeout(settings),
      orElse: () => Effect.fail(new OrdersUnavailable({ message: "a claim took too long" }))
    })
  )

const waitForWork = Effect.fnUntraced(function* (
  { nextDueIn, nextLeaseEndIn }: Claim,
  { rescheduled, settings }: WorkerState
) {
  const wakeUp = yield* WakeUp
  const jitter = yield* Random.nextBetween(0.8, 1)
  const waits = [Duration.times(settings.pollInterval, jitter), nextDueIn, nextLeaseEndIn]
  const shortest = waits.filter((wait) => wait !== null).reduce((a, b) => Duration.min(a, b))
  yield* Effect.timeoutOption(
    Effect.raceFirst(wakeUp.awaitAnnouncement, Queue.take(rescheduled)),
    // At least a millisecond, so that a shorter wait does not cause a busy loop.
    Math.max(1, Math.ceil(Duration.toMillis(shortest)))
  )
})
