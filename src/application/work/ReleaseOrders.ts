import { Effect } from "effect"
import type { HeldOrder } from "../../domain/Order.ts"
import { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { takeNewId } from "./WorkerId.ts"
import { claimTimeout } from "./WorkerSettings.ts"
import type { WorkerState } from "./WorkerState.ts"

/** Releases orders of a claim whose reply was lost. A release does not count as a failed attempt. */
export const releaseOrders = Effect.fnUntraced(function* (
  orders: ReadonlyArray<HeldOrder>,
  { claimNow }: WorkerState
) {
  if (orders.length === 0) return
  const store = yield* WorkStore
  yield* store.settle(
    orders.map((order) => ({
      order,
      outcome: { event: "released", detail: "the reply to the claim was lost" }
    }))
  )
  claimNow.send()
})

/**
 * The held orders that have no attempt and that no running claim will return. While a claim is running, an order
 * without an attempt may be one of its orders, unless a heartbeat before the claim has already found it. This needs no
 * clock. Such an order is found by the second heartbeat at the latest, because a claim takes at most as long as the
 * time between two heartbeats.
 */
export const findLostOrders = (
  held: ReadonlyArray<HeldOrder>,
  state: WorkerState
): ReadonlyArray<HeldOrder> => {
  const { attempts, claims, isClaiming, unknown: before } = state
  const unknown = attempts.withoutAttempt(held)
  state.unknown = { versions: new Map(unknown.map(({ id, version }) => [id, version])), claims }
  if (!isClaiming) return unknown
  return before.claims === claims
    ? []
    : unknown.filter(({ id, version }) => before.versions.get(id) === version)
}

/**
 * Releases every order that this worker holds although it has no attempt for the order. May be called only while no
 * claim is running.
 */
export const releaseUnknownOrders = Effect.fnUntraced(
  function* (state: WorkerState) {
    const { attempts, id, settings } = state
    const store = yield* WorkStore
    const held = yield* store.renew(id, settings.lease)
    yield* releaseOrders(attempts.withoutAttempt(held), state)
  },
  // The orders are expired.
  (effect, state) => Effect.catchTag(effect, "WorkerExpired", ({ worker }) => takeNewId(worker, state))
)

/**
 * After a failed claim the worker may hold orders without an attempt. This function releases those orders before the
 * next claim instead of at the next heartbeat. Between two claims no claim is running, so an order without an attempt
 * cannot belong to a running claim.
 */
export const releaseClaimInDoubt = (state: WorkerState) =>
  Effect.suspend(() => {
    if (!state.isClaimInDoubt) return Effect.void
    return releaseUnknownOrders(state).pipe(
      Effect.timeoutOrElse({
        duration: claimTimeout(state.settings),
        orElse: () => Effect.fail(new OrdersUnavailable({ message: "a release took too long" }))
      }),
      // The worker must continue to claim. The orders that were not released will expire with the worker's lease.
      Effect.catchDefect((defect) => Effect.logError("Could not release orders", defect)),
      Effect.andThen(
        Effect.sync(() => {
          state.isClaimInDoubt = false
        })
      )
    )
  })
