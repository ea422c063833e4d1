import { DateTime, Duration, Effect, Fiber } from "effect"
import type { Lease } from "../domain/Order.ts"
import type { InHand, OrdersInHand } from "./OrdersInHand.ts"
import { OrderRepository } from "./ports/OrderRepository.ts"
import { claimTimeout, WorkerSettings } from "./WorkerSettings.ts"

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
    const orphans = held.filter(isOrphan)
    if (orphans.length === 0) return
    yield* repository.settle(
      orphans.map((order) => ({
        order,
        outcome: { event: "released", detail: "the claim's answer was lost" }
      }))
    )
  })

  return yield* Effect.sleep(Duration.times(settings.lease, 1 / 3)).pipe(
    Effect.andThen(beat),
    Effect.catchTag("OrdersUnavailable", (error) =>
      Effect.logDebug(`The heartbeat failed: ${error.message}`)
    ),
    Effect.forever
  )
})
