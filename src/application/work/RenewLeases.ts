import { DateTime, Duration, Effect } from "effect"
import type { Lease } from "../../domain/Order.ts"
import { interrupt, type OrdersInHand } from "./RunningAttempts.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { claimTimeout, WorkerSettings } from "./WorkerSettings.ts"

const release = (orders: ReadonlyArray<Lease>) =>
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

/**
 * Releases whatever a worker that claims no more still holds without having it in hand: the orders of a claim whose
 * answer got lost just before the worker was stopped. They are charged nothing either.
 */
export const releaseLeftOver = Effect.fnUntraced(function* (inHand: OrdersInHand) {
  const store = yield* WorkStore
  const { lease, name } = yield* WorkerSettings
  const held = yield* store.renew(name, lease)
  yield* release(inHand.without(held))
})

/**
 * The heartbeat of a worker: at a third of the lease it renews all its leases in one statement, and compares
 * them with what is in hand. An attempt whose lease is gone is interrupted: another worker may have its order.
 * A lease that no hand knows is of a claim whose answer got lost: its order is released and charged nothing.
 */
export const renewLeases = Effect.fnUntraced(function* (inHand: OrdersInHand) {
  const store = yield* WorkStore
  const settings = yield* WorkerSettings

  const isNoClaimUnderWay = (held: Lease) => {
    const age = DateTime.distance(held.updatedAt, held.leaseUntil)
    return Duration.isGreaterThan(age, Duration.sum(settings.lease, claimTimeout(settings)))
  }

  const beat = Effect.gen(function* () {
    const before = inHand.all()
    const held = yield* store.renew(settings.name, settings.lease)
    const versions = new Map(held.map(({ id, version }) => [id, version]))
    for (const attempt of before) {
      const { fiber, finished, order } = attempt
      if (finished || fiber === null || versions.get(order.id) === order.version) continue
      yield* Effect.logWarning(`The lease of order ${order.id} was lost; its attempt is interrupted.`)
      interrupt(attempt, "lost")
    }
    // Not for so long that the next beat would come too late for the leases in hand.
    yield* Effect.timeoutOption(
      release(inHand.without(held).filter(isNoClaimUnderWay)),
      claimTimeout(settings)
    )
  })

  return yield* Effect.sleep(Duration.times(settings.lease, 1 / 3)).pipe(
    Effect.andThen(beat),
    Effect.catchTag("OrdersUnavailable", (error) =>
      Effect.logDebug(`The heartbeat failed: ${error.message}`)
    ),
    // Without it every longer attempt would be lost, and nobody would hear why.
    Effect.catchDefect((defect) => Effect.logError("The heartbeat failed", defect)),
    Effect.forever
  )
})
