import { Effect } from "effect"
import type { HeldOrder } from "../../domain/Order.ts"
import { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { claimTimeout } from "./WorkerSettings.ts"
import type { WorkerState } from "./WorkerState.ts"

/** Releases orders of a claim whose reply was lost. A release does not count as a failed attempt. */
export const releaseOrders = (orders: ReadonlyArray<HeldOrder>) =>
  Effect.flatMap(WorkStore, (store) =>
    orders.length === 0
      ? Effect.void
      : store.settle(
          orders.map((order) => ({
            order,
            outcome: { event: "released", detail: "the reply to the claim was lost" }
          }))
        )
  )

/**
 * Releases every order whose lease this worker holds although it has no attempt for the order. May be called
 * only while no claim is running.
 */
export const releaseUnknownOrders = Effect.fnUntraced(function* ({ attempts, settings }: WorkerState) {
  const store = yield* WorkStore
  const leases = yield* store.renew(settings.name, settings.lease)
  yield* releaseOrders(attempts.leasesWithoutAttempt(leases))
})

/**
 * After a failed claim the worker may have the leases of orders without an attempt. This function releases
 * those orders before the next claim instead of at the next heartbeat. Between two claims no claim is
 * running, so an order without an attempt cannot belong to a running claim.
 */
export const releaseClaimInDoubt = (state: WorkerState) =>
  Effect.suspend(() => {
    if (!state.isClaimInDoubt) return Effect.void
    return releaseUnknownOrders(state).pipe(
      Effect.timeoutOrElse({
        duration: claimTimeout(state.settings),
        orElse: () => Effect.fail(new OrdersUnavailable({ message: "a release took too long" }))
      }),
      // The worker must continue to claim. The leases of the orders that were not released will expire.
      Effect.catchDefect((defect) => Effect.logError("Could not release orders", defect)),
      Effect.andThen(
        Effect.sync(() => {
          state.isClaimInDoubt = false
        })
      )
    )
  })
