import { DateTime, Duration, Effect } from "effect"
import type { HeldOrder } from "../../domain/Order.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { releaseOrders } from "./ReleaseOrders.ts"
import { claimTimeout, type WorkerSettings } from "./WorkerSettings.ts"
import { aboutOrder, type Attempt, interruptAttempt, type WorkerState } from "./WorkerState.ts"

/**
 * The heartbeat of a worker. After each third of the lease duration, one statement renews all its leases and
 * returns them. An attempt without a lease is interrupted, because another worker may have its order. A lease
 * without an attempt belongs to a claim whose reply was lost: the order is released, which does not count as
 * a failed attempt.
 */
export const renewLeases = (state: WorkerState): Effect.Effect<never, never, WorkStore> =>
  Effect.sleep(Duration.times(state.settings.lease, 1 / 3)).pipe(
    Effect.andThen(heartbeat(state)),
    Effect.catchTag("OrdersUnavailable", (error) =>
      Effect.logDebug(`The heartbeat failed: ${error.message}`)
    ),
    // Without this handler a defect would end the heartbeat, and every attempt that runs longer than a lease
    // would lose its order.
    Effect.catchDefect((defect) => Effect.logError("The heartbeat failed", defect)),
    Effect.forever
  )

const heartbeat = Effect.fnUntraced(function* ({ attempts, settings }: WorkerState) {
  const store = yield* WorkStore
  const before = attempts.all()
  const leases = yield* store.renew(settings.name, settings.lease)
  yield* interruptWithoutLease(before, leases)
  const unknown = attempts.leasesWithoutAttempt(leases).filter((lease) => isOlderThanClaims(lease, settings))
  // With a time limit, so that the next heartbeat is in time for the other leases.
  yield* Effect.timeoutOption(releaseOrders(unknown), claimTimeout(settings))
})

const interruptWithoutLease = Effect.fnUntraced(function* (
  attempts: ReadonlyArray<Attempt>,
  leases: ReadonlyArray<HeldOrder>
) {
  const versions = new Map(leases.map(({ id, version }) => [id, version]))
  for (const attempt of attempts) {
    const { fiber, order, phase } = attempt
    // After the processor has ended, the lease may be missing because the order is settled.
    if (fiber === null || phase !== "processing" || versions.get(order.id) === order.version) continue
    yield* aboutOrder(order)(
      Effect.logWarning(`The lease of order ${order.id} was lost; interrupting its attempt.`)
    )
    interruptAttempt(attempt, "lease lost")
  }
})

/** Whether the order was started so long ago that no running claim can still return it. */
const isOlderThanClaims = ({ leaseUntil, updatedAt }: HeldOrder, settings: WorkerSettings): boolean =>
  Duration.isGreaterThan(
    DateTime.distance(updatedAt, leaseUntil),
    Duration.sum(settings.lease, claimTimeout(settings))
  )
