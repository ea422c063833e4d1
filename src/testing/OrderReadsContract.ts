import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import type { OrderId } from "../domain/OrderId.ts"
import { OrderStatus } from "../domain/OrderStatus.ts"
import { newOrder } from "./NewOrders.ts"
import { completed, failed, lease, retried, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What the reads of single orders and the statistics must do in every implementation of `OrderReads`. */
export const orderReadsContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`OrderReads on ${name}`, (it) => {
    const { advance, fresh } = storeScenario(setStoreClock)

    it.effect("the events of many orders are read after the version given for each, within the limits", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const [a, b, c] = [newOrder({ priority: 2 }), newOrder({ priority: 1 }), newOrder()]
        yield* stores.intake.submit([a, b, c])
        const { orders } = yield* stores.work.claim({ worker: "w", lease, max: 2 })
        yield* stores.work.settle(orders.slice(0, 1).map((order) => ({ order, outcome: completed })))
        const after = (places: ReadonlyArray<readonly [OrderId, number]>, maxEach = 9, maxAll = 9) =>
          stores.reads.eventsAfter(
            places.map(([id, after]) => ({ id, after })),
            { maxEach, maxAll }
          )
        const [all, most, none, unknown, last] = yield* after([
          [a.id, 0],
          [b.id, 1],
          [c.id, 1],
          [newOrder().id, 0],
          [a.id, 2]
        ])
        assert.deepStrictEqual(all, yield* stores.reads.timeline(a.id))
        assert.deepStrictEqual(most, (yield* stores.reads.timeline(b.id)).slice(1))
        assert.deepStrictEqual([none, unknown, last], [[], [], all?.slice(2)])
        const places = [a.id, b.id, c.id].map((id) => [id, 0] as const)
        const versions = (found: ReadonlyArray<ReadonlyArray<{ readonly version: number }>>) =>
          found.map((events) => events.map(({ version }) => version))
        assert.deepStrictEqual(versions(yield* after(places, 2)), [[1, 2], [1, 2], [1]])
        assert.deepStrictEqual(versions(yield* after(places, 2, 3)), [[1, 2], [1], []])
        assert.deepStrictEqual(yield* after([]), [])
      })
    )

    it.effect("an unknown order is not found by any call", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const { id } = newOrder()
        const calls = [
          stores.reads.find(id),
          stores.reads.timeline(id),
          stores.reads.whyWaiting(id, { limit: 1 }),
          stores.deadLetters.find(id),
          stores.deadLetters.reprocess(id),
          stores.deadLetters.discard(id),
          stores.control.cancel(id, { reason: "x" }),
          stores.control.run(id)
        ]
        for (const call of calls) {
          assert.strictEqual(
            (yield* Effect.flip(call as Effect.Effect<unknown, { _tag: string }>))._tag,
            "OrderNotFound"
          )
        }
      })
    )

    it.effect(
      "the stats count every order by status, and the orders created and completed in ten seconds",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* advance("11 seconds")
          const before = yield* stores.reads.stats
          assert.deepStrictEqual([before.createdPerSecond, before.completedPerSecond], [0, 0])
          yield* stores.intake.submit(Array.from({ length: 20 }, () => newOrder()))
          yield* advance("3 seconds")
          const { orders } = yield* stores.work.claim({ worker: "w", lease, max: 12 })
          const outcomes = [completed, failed, failed, retried(60_000)]
          yield* stores.work.settle(
            orders.slice(0, 8).map((order, n) => ({ order, outcome: outcomes[n % 4] ?? completed }))
          )
          const id = orders[1]?.id
          assert(id !== undefined)
          yield* stores.deadLetters.discard(id)
          yield* advance("2 seconds")
          const after = yield* stores.reads.stats
          const more = (status: OrderStatus) => after.byStatus[status] - before.byStatus[status]
          assert.deepStrictEqual(OrderStatus.literals.map(more), [10, 4, 2, 4])
          assert.strictEqual(after.retrying - before.retrying, 2)
          assert.strictEqual(after.deadLetters - before.deadLetters, 3)
          assert.deepStrictEqual(after.oldestDueAge, Duration.seconds(5))
          assert.deepStrictEqual([after.createdPerSecond, after.completedPerSecond], [2, 0.2])
          assert.deepStrictEqual(
            [after.asOf, after.truncated, after.estimated],
            [yield* DateTime.now, false, []]
          )
          yield* advance("6 seconds")
          const later = yield* stores.reads.stats
          assert.deepStrictEqual([later.createdPerSecond, later.completedPerSecond], [0, 0.2])
        })
    )
  })
}
