import { Duration, Effect } from "effect"
import type { HeldOrder } from "../../domain/Order.ts"
import type { WorkerReport } from "../../domain/Workers.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { findLostOrders, releaseOrders } from "./ReleaseOrders.ts"
import { takeNewId } from "./WorkerId.ts"
import { claimTimeout } from "./WorkerSettings.ts"
import { aboutOrder, type Attempt, interruptAttempt, type WorkerState } from "./WorkerState.ts"

/**
 * The heartbeat of a worker: at its start, after each third of the lease duration, and at once when it begins to stop.
 * One statement renews the lease, stores the report, and returns the orders that the worker holds. An attempt whose
 * order is no longer held is interrupted, because another worker may have the order. An attempt whose cancel was
 * requested is interrupted too. An order without an attempt belongs to a claim whose reply was lost: the order is
 * released, which does not count as a failed attempt.
 */
export const renewLeases = (state: WorkerState): Effect.Effect<never, never, WorkStore> =>
  heartbeat(state).pipe(
    Effect.catchTags({
      OrdersUnavailable: (error) => Effect.logDebug(`The heartbeat failed: ${error.message}`),
      WorkerExpired: ({ worker }) => takeNewId(worker, state)
    }),
    // Without this handler a defect would end the heartbeat, and every attempt that runs longer than a lease
    // would lose its order.
    Effect.catchDefect((defect) => Effect.logError("The heartbeat failed", defect)),
    Effect.andThen(Effect.timeoutOption(state.reportNow.await, Duration.times(state.settings.lease, 1 / 3))),
    Effect.forever
  )

const heartbeat = Effect.fnUntraced(function* (state: WorkerState) {
  const { attempts, id, settings } = state
  const store = yield* WorkStore
  const before = attempts.all().filter(({ order }) => order.worker === id)
  const held = yield* store.renew(id, settings.lease, reportOf(state))
  yield* interruptLost(before, held)
  const lost = findLostOrders(held, state)
  // With a time limit, so that a slow release does not delay the next heartbeat.
  yield* Effect.timeoutOption(releaseOrders(lost, state), claimTimeout(settings))
})

const reportOf = ({ attempts, breakers, isDraining, settings, types }: WorkerState): WorkerReport => ({
  host: settings.host ?? "unknown",
  version: settings.version ?? "unknown",
  role: settings.role ?? "worker",
  types,
  capacity: settings.concurrency,
  inFlight: attempts.count(),
  draining: isDraining,
  breakers: breakers.open()
})

const interruptLost = Effect.fnUntraced(function* (
  attempts: ReadonlyArray<Attempt>,
  held: ReadonlyArray<HeldOrder>
) {
  const byId = new Map(held.map((order) => [order.id, order]))
  for (const attempt of attempts) {
    const { fiber, order, phase } = attempt
    // After the processor has ended, the order may already be settled, and a settled order is not held.
    if (fiber === null || phase !== "processing") continue
    const now = byId.get(order.id)
    if (now?.version === order.version) {
      if (now.cancelRequested !== null) interruptAttempt(attempt, "cancelled")
      continue
    }
    yield* aboutOrder(order)(
      Effect.logWarning(`The lease of order ${order.id} was lost; interrupting its attempt.`)
    )
    interruptAttempt(attempt, "lease lost")
  }
})
