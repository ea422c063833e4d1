import { Duration, Effect, Random } from "effect"
import { pauseAfterError } from "../../concurrency/PauseAfterError.ts"
import { DefaultGroupLimits, type GroupLimits } from "../../domain/Groups.ts"
import { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import type { ProcessingOrder } from "../../domain/Order.ts"
import { type Claim, WorkStore } from "../ports/WorkStore.ts"
import { expireLeases } from "./ExpireLeases.ts"
import { releaseClaimInDoubt } from "./ReleaseOrders.ts"
import { takeNewId } from "./WorkerId.ts"
import { claimTimeout } from "./WorkerSettings.ts"
import type { WorkerState } from "./WorkerState.ts"
import { recordStarted } from "./WorkMetrics.ts"

/** The maximum number of orders that one statement claims. */
const maxClaim = 256

type StartAttempts = (orders: ReadonlyArray<ProcessingOrder>) => Effect.Effect<void>

/**
 * The claim loop of a worker. It waits for free slots, claims at most one order for each free slot, and starts an
 * attempt for each claimed order. If it got fewer orders than free slots, it waits for the first of these: a signal
 * that another order may start (`claimNow`), the time at which the next order can start without any other event, the
 * end of the next lease, the time of the next probe of a breaker, or the end of the poll interval. The loop never ends.
 * The SQL is in infrastructure/postgres/functions/ClaimOrders.ts.
 */
export const claimOrders = (
  state: WorkerState,
  startAttempts: StartAttempts
): Effect.Effect<never, never, WorkStore> =>
  Effect.flatMap(DefaultGroupLimits, (limits) =>
    releaseClaimInDoubt(state).pipe(
      Effect.andThen(state.slots.take(maxClaim)),
      Effect.flatMap((free) => claimAndWait(free, limits, state, startAttempts)),
      Effect.catchTags({
        OrdersUnavailable: (error) =>
          Effect.andThen(Effect.logDebug(`Could not claim orders: ${error.message}`), retryLater(state)),
        WorkerExpired: ({ worker }) => takeNewId(worker, state)
      }),
      // Without this handler a defect would end the loop, and the worker would claim no more orders.
      Effect.catchDefect((defect) =>
        Effect.andThen(Effect.logError("Could not claim orders", defect), retryLater(state))
      ),
      Effect.forever
    )
  )

const retryLater = (state: WorkerState) =>
  Effect.suspend(() => {
    state.isClaimInDoubt = true
    return pauseAfterError
  })

const claimAndWait = Effect.fnUntraced(function* (
  free: number,
  limits: GroupLimits,
  state: WorkerState,
  startAttempts: StartAttempts
) {
  // Uninterruptible: even if the worker stops during the claim, every claimed order needs an attempt, which
  // processes or releases the order.
  const claimed = yield* Effect.uninterruptible(
    claim(free, limits, state).pipe(
      Effect.onError(() => Effect.sync(() => state.slots.release(free))),
      Effect.tap(({ orders, turns }) => {
        state.turns = turns
        state.slots.release(free - orders.length)
        return startAttempts(orders)
      }),
      Effect.ensuring(
        Effect.sync(() => {
          state.isClaiming = false
        })
      )
    )
  )
  yield* recordStarted(claimed.orders)
  const { isIncomplete, nextLeaseEndIn, orders } = claimed
  if (nextLeaseEndIn !== null && Duration.toMillis(nextLeaseEndIn) <= 0) return yield* expireLeases
  if (orders.length === free) return
  yield* isIncomplete ? shortPause : waitForWork(claimed, state)
})

const claim = (max: number, defaultLimits: GroupLimits, state: WorkerState) =>
  Effect.suspend(() => {
    const { id, settings, turns, types } = state
    const maxOfType = roomOf(state)
    state.claims++
    state.isClaiming = true
    // This claim sees everything that the signal announced.
    state.claimNow.clear()
    return Effect.flatMap(WorkStore, (store) =>
      store.claim({
        worker: id,
        lease: settings.lease,
        max,
        turns,
        defaultLimits,
        ...(types !== null && { types }),
        ...(Object.keys(maxOfType).length > 0 && { maxOfType })
      })
    ).pipe(
      Effect.timeoutOrElse({
        duration: claimTimeout(settings),
        orElse: () => Effect.fail(new OrdersUnavailable({ message: "a claim took too long" }))
      }),
      // If the worker has taken a new id since the claim began, these orders were lost with the old id.
      Effect.map((claimed) => (state.id === id ? claimed : { ...claimed, orders: [] }))
    )
  })

/** For each type that has a maximum of its own or an open breaker, how many more attempts may start. */
const roomOf = ({ breakers, typeStates }: WorkerState): Readonly<Record<string, number>> => {
  const room = { ...typeStates.room() }
  for (const [type, max] of Object.entries(breakers.room())) room[type] = Math.min(max, room[type] ?? max)
  return room
}

// Another claim has locked a group, or this claim did not examine everything.
const shortPause = Effect.flatMap(Random.nextBetween(5, 20), (millis) => Effect.sleep(millis))

const waitForWork = Effect.fnUntraced(function* (
  { nextDueIn, nextLeaseEndIn, orders }: Claim,
  { breakers, claimNow, settings }: WorkerState
) {
  const jitter = yield* Random.nextBetween(0.8, 1)
  const probeIn = breakers.nextProbeIn()
  const waits = [
    Duration.times(settings.pollInterval, jitter),
    nextDueIn,
    nextLeaseEndIn,
    probeIn === null ? null : Duration.millis(probeIn)
  ]
  const shortest = waits.filter((wait) => wait !== null).reduce((a, b) => Duration.min(a, b))
  // A minimum, so that a store that returns a wait of zero does not cause a busy loop.
  const least = orders.length === 0 ? 5 : 1
  yield* Effect.timeoutOption(claimNow.await, Math.max(least, Math.ceil(Duration.toMillis(shortest))))
})
