import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Random } from "effect"
import { noLimits } from "../domain/Groups.ts"
import type { Outcome } from "../domain/Order.ts"
import type { OrderId } from "../domain/OrderId.ts"
import { keepFor, keyedOrder, requestIdsOf } from "./KeyedOrders.ts"
import { newOrder } from "./NewOrders.ts"
import {
  completed,
  failed,
  followPages,
  lease,
  retried,
  type StoreContract,
  storeScenario
} from "./StoreScenario.ts"

/** What every `UpkeepStore` must do. */
export const upkeepStoreContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`UpkeepStore on ${name}`, (it) => {
    const { advance, fresh } = storeScenario(setStoreClock)

    it.effect("expired keys are deleted up to the limit, and no others", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.upkeep.deleteExpiredKeys(1000)
        yield* requestIdsOf(
          [],
          ["f1", "f2", "f3"].map((key) => keyedOrder(key))
        )
        const young = keyedOrder("f4", "other", { keepFor: Duration.times(keepFor, 2) })
        yield* requestIdsOf([], [young])
        assert.strictEqual(yield* stores.upkeep.deleteExpiredKeys(2), 0)
        yield* advance(keepFor)
        const deleted = yield* Effect.forEach([2, 2, 2], (max) => stores.upkeep.deleteExpiredKeys(max))
        assert.deepStrictEqual(deleted, [2, 1, 0])
        assert.deepStrictEqual(yield* requestIdsOf([], [keyedOrder("f4")]), [young.requestId])
      })
    )

    it.effect(
      "what is stored about the rate of a group is deleted after an idle hour, its limits are not",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const defaultLimits = { ...noLimits, ratePerSecond: 0.001 }
          const claim = (max: number) => stores.work.claim({ worker: "w", lease, max, defaultLimits })
          yield* stores.control.setGroupLimits("with limits", { ...noLimits, ratePerSecond: 0.001 })
          yield* stores.intake.submit([newOrder({ group: "idle" }), newOrder({ group: "with limits" })])
          const { orders } = yield* claim(2)
          assert.strictEqual(orders.length, 2)
          yield* stores.work.settle(orders.map((order) => ({ order, outcome: completed })))
          yield* stores.upkeep.deleteIdleGroups(1000)
          yield* stores.intake.submit([newOrder({ group: "idle" })])
          assert.strictEqual((yield* claim(1)).orders.length, 0)
          yield* advance("1 hour")
          const rest = (yield* claim(1)).orders
          assert.strictEqual(rest.length, 1)
          yield* stores.work.settle(rest.map((order) => ({ order, outcome: completed })))
          yield* claim(1)
          yield* advance("1 hour")
          assert.isAtLeast(yield* stores.upkeep.deleteIdleGroups(1000), 1)
          assert.strictEqual(yield* stores.upkeep.deleteIdleGroups(1000), 0)
          assert.isTrue(yield* stores.control.deleteGroupLimits("with limits"))
        })
    )

    it.effect(
      "of orders in every state and of every age exactly those that are final and old enough are deleted, each whole",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const ids: Array<OrderId> = []
          const outcomes: ReadonlyArray<Outcome> = [completed, failed, completed, failed, retried(1000)]
          const isDeleted = (id: OrderId) =>
            Effect.map(Effect.exit(stores.reads.find(id)), (exit) => Exit.isFailure(exit))
          // Deletes the orders of other tests. All of them are final, because each `fresh` advances the time
          // by a day and completes the orders that are due by then.
          yield* fresh
          yield* advance("1 millis")
          yield* stores.upkeep.deleteOldOrders("PROCESSED", Duration.zero, 10_000)
          yield* stores.upkeep.deleteOldOrders("FAILED", Duration.zero, 10_000)
          for (let n = 0; n < 60; n++) {
            const given = Array.from({ length: 3 }, () => newOrder({ metadata: { retention: "x" } }))
            yield* stores.intake.submit(given)
            ids.push(...given.map(({ id }) => id))
            yield* stores.work.expire(1000)
            const { orders } = yield* stores.work.claim({ worker: "w", lease, max: 3 })
            const settled = orders.slice(0, yield* Random.nextIntBetween(0, 3))
            yield* stores.work.settle(
              settled.map((order, index) => ({ order, outcome: outcomes[(n + index) % 5] ?? completed }))
            )
            const some = ids[yield* Random.nextIntBetween(0, ids.length - 1)] as OrderId
            yield* Effect.exit(
              n % 3 === 0 ? stores.deadLetters.discard(some) : stores.deadLetters.reprocess(some)
            )
            yield* advance(yield* Random.nextIntBetween(1, 20_000))
            if (n % 6 !== 5) continue

            const before = yield* Effect.forEach(ids, stores.reads.find)
            const status = n % 4 === 1 ? "PROCESSED" : "FAILED"
            const age = Duration.seconds(yield* Random.nextIntBetween(0, 90))
            const now = yield* DateTime.now
            const old = before
              .filter(
                (order) =>
                  order.status === status &&
                  DateTime.isLessThan(order.updatedAt, DateTime.subtractDuration(now, age))
              )
              .sort((a, b) => DateTime.Order(a.updatedAt, b.updatedAt))
            const max = old.length > 3 && n % 5 === 0 ? old.length - 1 : 1000
            const oldest = old.slice(0, max)
            // If several orders are as old as the last one within the limit, any of them may be deleted.
            const deleted = yield* stores.upkeep.deleteOldOrders(status, age, max)
            assert.strictEqual(deleted, oldest.length)
            const missing = []
            for (const order of before) if (yield* isDeleted(order.id)) missing.push(order)
            assert.strictEqual(missing.length, deleted)
            for (const order of missing) {
              assert.include(old, order)
              assert.isTrue(Exit.isFailure(yield* Effect.exit(stores.reads.timeline(order.id))))
              const { entries } = yield* stores.deadLetters.list({ limit: 1000, after: null })
              assert.isFalse(entries.some(({ orderId }) => orderId === order.id))
              ids.splice(ids.indexOf(order.id), 1)
            }
            const listed = yield* followPages(
              (page) => stores.reads.list(page, { metadata: { retention: "x" } }),
              200
            )
            assert.sameMembers(
              listed.map(({ id }) => id),
              ids
            )
          }
          yield* fresh
        }).pipe(Random.withSeed("retention"))
    )
  })
}
