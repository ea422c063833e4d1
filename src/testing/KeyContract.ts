import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import type { Outcome } from "../domain/Order.ts"
import { newOrder } from "./NewOrders.ts"
import {
  completed,
  failed,
  lease,
  named,
  namesOf,
  retried,
  type StoreContract,
  storeScenario
} from "./StoreScenario.ts"

/** What every implementation of `WorkStore` must do with orders that have an ordering key. */
export const keyContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`WorkStore: ordering keys on ${name}`, (it) => {
    const { advance, claim, claimNames, claimOne, fresh, settle } = storeScenario(setStoreClock)

    it.effect("orders of a key run one at a time, in the sequence of their submits", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const orderingKey = "one at a time"
        yield* stores.intake.submit([
          named("1", { orderingKey }),
          named("2", { orderingKey }),
          named("free", { priority: 0 })
        ])
        yield* stores.intake.submit([named("3", { orderingKey, priority: 9 })])
        assert.sameMembers([...(yield* claimNames())], ["1", "free"])
        assert.deepStrictEqual(yield* claimNames({ worker: "w2" }), [], "1 is running")
        for (const next of ["2", "3"]) {
          const held = yield* stores.work.renew("w1", lease)
          const running = yield* Effect.forEach(held, ({ id }) => stores.reads.find(id))
          yield* settle(
            running.filter((order) => order.status === "PROCESSING"),
            completed
          )
          assert.deepStrictEqual(yield* claimNames(), [next])
        }
      })
    )

    it.effect(
      "the first order of a key stays the first until it is final, also while it waits for its time",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const orderingKey = "stays"
          yield* stores.intake.submit([
            named("first", { orderingKey }),
            named("second", { orderingKey, priority: 9 })
          ])
          const outcomes: ReadonlyArray<Outcome> = [
            retried(5000),
            { event: "snoozed", delay: Duration.seconds(5), detail: null },
            { event: "released", detail: "stopped" }
          ]
          for (const outcome of outcomes) {
            const { orders } = yield* claim()
            assert.deepStrictEqual(namesOf(orders), ["first"])
            yield* settle(orders, outcome)
            if (outcome.event === "released") continue
            const waiting = yield* claim()
            assert.deepStrictEqual(waiting.orders, [], `after ${outcome.event}`)
            assert.deepStrictEqual(waiting.nextDueIn, Duration.seconds(5))
            yield* advance("5 seconds")
          }
          assert.deepStrictEqual(yield* claimNames(), ["first"])
          yield* advance(lease)
          assert.deepStrictEqual(namesOf(yield* stores.work.expire(10)), ["first"])
          assert.deepStrictEqual(yield* claimNames({ worker: "w2" }), ["first"], "its lease ended")
        })
    )

    it.effect("an order that is scheduled holds back the later ones of its key, which are due", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const orderingKey = "scheduled"
        const notBefore = DateTime.add(yield* DateTime.now, { seconds: 10 })
        yield* stores.intake.submit([
          named("scheduled", { orderingKey, notBefore }),
          named("due", { orderingKey, priority: 9 })
        ])
        const { nextDueIn, orders } = yield* claim()
        assert.deepStrictEqual(orders, [])
        assert.deepStrictEqual(nextDueIn, Duration.seconds(10))
        yield* advance("10 seconds")
        assert.deepStrictEqual(yield* claimNames(), ["scheduled"])
      })
    )

    it.effect("an order that completes, fails or is cancelled lets the next one of its key run", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const orderingKey = "next"
        const given = ["completed", "failed", "cancelled", "cancelled waiting", "last"].map((name) =>
          named(name, { orderingKey })
        )
        yield* stores.intake.submit(given)
        const [, , cancelled, cancelledWaiting] = given.map(({ id }) => id)
        assert(cancelled !== undefined && cancelledWaiting !== undefined)
        yield* stores.control.cancel(cancelledWaiting, { reason: "not needed" })
        yield* settle([yield* claimOne()], completed)
        yield* settle([yield* claimOne()], failed)
        // This claim makes the order the head of its key before the cancel.
        assert.deepStrictEqual(yield* claimNames({ max: 0 }), [])
        yield* stores.control.cancel(cancelled, { reason: "not needed" })
        assert.deepStrictEqual(yield* claimNames(), ["last"])
      })
    )

    it.effect("the same key of another type is another key", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const orderingKey = "types"
        yield* stores.intake.submit([
          named("a1", { orderingKey, type: "a" }),
          named("a2", { orderingKey, type: "a" }),
          named("b1", { orderingKey, type: "b" })
        ])
        assert.sameMembers([...(yield* claimNames())], ["a1", "b1"])
      })
    )

    it.effect("a reprocessed order runs after the orders of its key that were submitted before", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const orderingKey = "reprocessed"
        const first = named("first", { orderingKey, priority: 9 })
        yield* stores.intake.submit([first, named("second", { orderingKey })])
        yield* settle([yield* claimOne()], failed)
        yield* stores.deadLetters.reprocess(first.id)
        yield* stores.intake.submit([named("third", { orderingKey })])
        for (const next of ["second", "first", "third"]) {
          const { orders } = yield* claim()
          assert.deepStrictEqual(namesOf(orders), [next])
          yield* settle(orders, completed)
        }
      })
    )

    it.effect("an order that is run at once does not pass the one before it of its key", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const orderingKey = "run"
        const notBefore = DateTime.add(yield* DateTime.now, { seconds: 10 })
        const [first, second] = ["first", "second"].map((name) => named(name, { orderingKey, notBefore }))
        assert(first !== undefined && second !== undefined)
        yield* stores.intake.submit([first, second])
        yield* stores.control.run(second.id)
        assert.deepStrictEqual(yield* claimNames(), [])
        yield* stores.control.run(first.id)
        const { orders } = yield* claim()
        assert.deepStrictEqual(namesOf(orders), ["first"])
        yield* settle(orders, completed)
        assert.deepStrictEqual(yield* claimNames(), ["second"])
      })
    )

    it.effect("orders that wait behind another of their key count as due, whatever their due time", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const notBefore = DateTime.add(yield* DateTime.now, { minutes: 5 })
        const counts = Effect.gen(function* () {
          const { due } = yield* stores.intake.countDue(1000)
          const { scheduled } = yield* stores.intake.countScheduled(1000, 1)
          return [due, scheduled]
        })
        const [due = 0, scheduled = 0] = yield* counts
        yield* stores.intake.submit(
          Array.from({ length: 3 }, () => newOrder({ orderingKey: "counted", notBefore }))
        )
        yield* claim()
        assert.deepStrictEqual(yield* counts, [due + 2, scheduled + 1])
        yield* advance("5 minutes")
        assert.deepStrictEqual(yield* counts, [due + 3, scheduled])
      })
    )

    it.effect("concurrent claims never start two orders of a key, and each key keeps its sequence", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const keys = ["k0", "k1", "k2", "k3", "k4"]
        const given = Array.from({ length: 50 }, (_, n) =>
          named(String(n).padStart(2, "0"), { orderingKey: keys[n % keys.length] ?? "", priority: n % 3 })
        )
        yield* stores.intake.submit(given)
        const ran: Array<string> = []
        for (let round = 0; ran.length < given.length; round++) {
          assert.isBelow(round, 100)
          const claims = yield* Effect.forEach(
            ["w1", "w2", "w3", "w4"],
            (worker) => claim({ worker, max: 3 }),
            { concurrency: "unbounded" }
          )
          const orders = claims.flatMap(({ orders }) => orders)
          assert.strictEqual(new Set(orders.map(({ orderingKey }) => orderingKey)).size, orders.length)
          ran.push(...namesOf(orders).map(String))
          yield* settle(orders, completed)
        }
        for (const [n] of keys.entries()) {
          const ofKey = ran.filter((name) => Number(name) % keys.length === n)
          assert.deepStrictEqual(ofKey, [...ofKey].sort())
        }
      })
    )
  })
}
