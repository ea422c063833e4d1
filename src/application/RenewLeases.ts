import { DateTime, Duration, Effect, Fiber } from "effect"
import type { Lease } from "../domain/Order.ts"
import type { InHand, OrdersInHand } from "./OrdersInHand.ts"
import { OrderRepository } from "./ports/OrderRepository.ts"
import { claimTimeout, WorkerSettings } from "./WorkerSettings.ts"

const release = (orders: ReadonlyArray<Lease>) =>
  Effect.flatMap(OrderRepository, (repository) =>
    orders.length === 0
      ? Effect.void
      : repository.settle(
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
  const repository = yield* OrderRepository
  const { lease, name } = yield* WorkerSettings
  const held = yield* repository.renew(name, lease)
  yield* release(held.filter(({ id, version }) => inHand.get(id)?.order.version !== version))
})

/**
 * The heartbeat of a worker: at a third of the lease it renews all its leases in one statement, and compares
 * them with what is in hand. An attempt whose lease is gone is interrupted: another worker may have its order.
 * A lease that no hand knows is of a claim whose answer got lost: its order is released and charged nothing.
 */
export const renewLeases = Effect.fnUntraced(function* (inHand: OrdersInHand) {
  const repository = yield* OrderRepository
  const settings = yield* WorkerSettings

  const isOrphan = (held: Lease) => {
    const age = DateTime.distance(held.updatedAt, held.leaseUntil)
    const claimMayBeUnderWay = Duration.sum(settings.lease, claimTimeout(settings))
    return (
      inHand.get(held.id)?.order.version !== held.version && Duration.isGreaterThan(age, claimMayBeUnderWay)
    )
  }

  const beat = Effect.gen(function* () {
    const before: ReadonlyArray<InHand> = Array.from(inHand.values())
    const held = yield* repository.renew(settings.name, settings.lease)
    const versions = new Map(held.map(({ id, version }) => [id, version]))
    for (const { finished, fiber, order } of before) {
      if (finished || fiber === null || versions.get(order.id) === order.version) continue
      yield* Effect.logWarning(`The lease of order ${order.id} was lost; its attempt is interrupted.`)
      yield* Fiber.interrupt(fiber).pipe(Effect.forkChild)
    }
    // Not for so long that the next beat would come too late for the leases in hand.
    yield* Effect.timeoutOption(release(held.filter(isOrphan)), claimTimeout(settings))
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
