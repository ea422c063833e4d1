import { Effect } from "effect"
import type { Lease } from "../../domain/Order.ts"
import { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { claimTimeout } from "./WorkerSettings.ts"
import type { WorkerState } from "./WorkerState.ts"

/** Gives back orders that a claim started without this worker getting the answer. It costs them no attempt. */
export const releaseOrders = (orders: ReadonlyArray<Lease>) =>
  Effect.flatMap(WorkStore, (store) =>
    orders.length === 0
      ? Effect.void
      : store.settle(
          orders.map((order) => ({
            order,
            outcome: { event: "released", detail: "the claim's answer was lost" }
          }))
        )
  )

/** Releases every order under this worker's leases that it has no attempt for. Only while no claim is under way. */
export const releaseUnknownOrders = Effect.fnUntraced(function* ({ attempts, settings }: WorkerState) {
  const store = yield* WorkStore
  const leases = yield* store.renew(settings.name, settings.lease)
  yield* releaseOrders(attempts.leasesWithoutAttempt(leases))
})

/**
 * After a claim that failed the worker may hold orders that it does not know. Between two claims it can tell which, so it
 * releases them before the next claim, and not only at the next heartbeat.
 */
export const releaseClaimInDoubt = (state: WorkerState) =>
  Effect.suspend(() => {
    if (!state.isClaimInDoubt) return Effect.void
    return releaseUnknownOrders(state).pipe(
      Effect.timeoutOrElse({
        duration: claimTimeout(state.settings),
        orElse: () => Effect.fail(new OrdersUnavailable({ message: "a release took too long" }))
      }),
      // The worker must go on claiming; the leases of these orders will end.
      Effect.catchDefect((defect) => Effect.logError("The worker could not release orders", defect)),
      Effect.andThen(
        Effect.sync(() => {
          state.isClaimInDoubt = false
        })
      )
    )
  })
