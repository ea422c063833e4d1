import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import { newOrder } from "./NewOrders.ts"
import { completed, lease, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What `submit` without idempotency keys and the counts must do in every implementation of `IntakeStore`. */
export const submitContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`IntakeStore: submit on ${name}`, (it) => {
    const { advance, claimOne, fresh } = storeScenario(setStoreClock)

    it.effect("a submitted order is found as it was given, PENDING and due now", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const given = newOrder({
          payload: { drink: "coffee", cups: [1, { size: null }] },
          type: "barista.coffee_1",
          orderingKey: "table \u00fc",
          group: "shop-42",
          priority: 7,
          maxRetries: 5,
          metadata: { shop: "42" },
          correlationId: "c-1"
        })
        yield* stores.intake.submit([given])
        const now = yield* DateTime.now
        const { notBefore: _, ...kept } = given
        assert.deepStrictEqual(yield* stores.reads.find(given.id), {
          ...kept,
          status: "PENDING",
          version: 1,
          retryCount: 0,
          failureReason: null,
          reasonCode: null,
          createdAt: now,
          updatedAt: now,
          dueAt: now
        })
        assert.deepStrictEqual(
          (yield* stores.reads.timeline(given.id)).map(({ event, from, to, version }) => [
            event,
            from,
            to,
            version
          ]),
          [["created", null, "PENDING", 1]]
        )
      })
    )

    it.effect("what a caller does to a payload changes nothing that is stored, on the way in or out", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const items = [{ name: "coffee" }]
        const order = newOrder({ payload: { items } })
        yield* stores.intake.submit([order])
        items.push({ name: "tea" })
        const claimed = yield* claimOne()
        Object.assign(claimed.payload["items"] ?? {}, { 0: "poison" })
        Object.assign((yield* stores.reads.find(order.id)).payload["items"] ?? {}, { 0: "poison" })
        assert.deepStrictEqual((yield* stores.reads.find(order.id)).payload, { items: [{ name: "coffee" }] })
      })
    )

    it.effect("a submit that is repeated after a lost reply changes nothing", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const [one, two] = [newOrder(), newOrder()]
        yield* stores.intake.submit([one])
        yield* claimOne()
        yield* stores.intake.submit([one, two])
        assert.strictEqual((yield* stores.reads.find(one.id)).status, "PROCESSING")
        assert.strictEqual((yield* stores.reads.timeline(one.id)).length, 2)
        assert.strictEqual((yield* stores.reads.timeline(two.id)).length, 1)
      })
    )

    it.effect(
      "due orders are counted up to a limit, and beyond it with the rate at which orders become final",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* advance("1 minute")
          const notBefore = DateTime.add(yield* DateTime.now, { minutes: 5 })
          const { due } = yield* stores.intake.countDue(100_000)
          yield* stores.intake.submit(Array.from({ length: 8 }, () => newOrder({ priority: 9 })))
          yield* stores.intake.submit(Array.from({ length: 4 }, () => newOrder({ priority: 9, notBefore })))
          const { orders } = yield* stores.work.claim({ worker: "w", lease, max: 5 })
          yield* stores.work.settle(orders.map((order) => ({ order, outcome: completed })))
          const enough = yield* stores.intake.countDue(due + 3)
          assert.strictEqual(enough.due, due + 3)
          assert.deepStrictEqual(yield* stores.intake.countDue(due + 1), {
            due: due + 2,
            drainPerSecond: 0.5
          })
        })
    )

    it.effect(
      "scheduled orders are counted up to a limit, and beyond it with the time until some of them are due",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const now = yield* DateTime.now
          const { scheduled } = yield* stores.intake.countScheduled(100_000, 1)
          assert.strictEqual(scheduled, 0)
          const inMinutes = (minutes: number, priority: number) =>
            newOrder({ priority, notBefore: DateTime.add(now, { minutes }) })
          yield* stores.intake.submit([
            inMinutes(10, 0),
            inMinutes(20, 9),
            inMinutes(30, 5),
            inMinutes(90, 9),
            newOrder()
          ])
          const count = Effect.fnUntraced(function* (max: number, room: number) {
            const { roomIn, scheduled } = yield* stores.intake.countScheduled(max, room)
            return [scheduled, Duration.toMinutes(roomIn)]
          })
          assert.deepStrictEqual(yield* count(4, 1), [4, Infinity], "the limit is not exceeded")
          assert.deepStrictEqual(yield* count(3, 1), [4, 10])
          assert.deepStrictEqual(yield* count(2, 2), [3, 20], "whatever their priorities")
          assert.deepStrictEqual(yield* count(2, 4), [3, Infinity], "in more than an hour")
          yield* advance("15 minutes")
          assert.deepStrictEqual(yield* count(2, 1), [3, 5])
          yield* advance("1 day")
          assert.deepStrictEqual(yield* count(0, 1), [0, Infinity])
        })
    )
  })
}
