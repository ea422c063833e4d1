import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Random, type Layer } from "effect"
import { TestClock } from "effect/testing"
import type { StoredAnswer, KeyedOrders } from "../application/ports/IntakeStore.ts"
import { PermanentFailure } from "../application/ports/OrderProcessor.ts"
import type { DeadLetterFilter, Listing, OrderFilter, Page, Position } from "../domain/OrderQueries.ts"
import type { Stores } from "../application/ports/Stores.ts"
import { allStores } from "./AllStores.ts"
import type { DeadLetter } from "../domain/DeadLetter.ts"
import { failure } from "../domain/Failure.ts"
import type { NewOrder, Order, Outcome, ProcessingOrder } from "../domain/Order.ts"
import type { OrdersUnavailable } from "../domain/OrderErrors.ts"
import type { OrderId } from "../domain/OrderId.ts"
import { OrderStatus } from "../domain/OrderStatus.ts"
import { newOrder } from "./NewOrders.ts"

// Longer than 150 lines because it is one suite, read as the list of all that a stores must do.

/** Moves the store's own clock to the test's; nothing for a store that uses Effect's Clock. */
export type SetStoreClock<R> = (time: DateTime.Utc) => Effect.Effect<unknown, unknown, R>

const lease = Duration.seconds(30)
const keepFor = Duration.hours(24)
const completed: Outcome = { event: "completed" }
const failed: Outcome = { event: "failed", failure: failure("PERMANENT", "broken") }
const retried = (millis: number): Outcome => ({
  event: "retried",
  delay: Duration.millis(millis),
  failure: failure("PROCESSING_FAILED", "not yet")
})

/** A call with a key, for one new order, as another each time. */
const keyedOrder = (key: string, fingerprint = "same", parts: Partial<KeyedOrders> = {}): KeyedOrders => {
  const order = newOrder()
  return {
    scope: "caller",
    key,
    fingerprint,
    requestId: order.id,
    orders: [order],
    answer: `answer ${order.id}`,
    keepFor,
    ...parts
  }
}
const ordersOf = (...keyed: ReadonlyArray<KeyedOrders>) => keyed.flatMap(({ orders }) => orders)

/**
 * What every order stores must do, in one suite that each adapter runs unchanged. The store is shared by the
 * tests of a run, so each test takes everything that is due before it ends.
 */
export const storesContract = <R>(
  name: string,
  layer: Layer.Layer<Stores | R, unknown>,
  setStoreClock: SetStoreClock<R>
) => {
  describeLayer(layer)(`Stores on ${name}`, (it) => {
    const advance = Effect.fnUntraced(function* (by: Duration.Input) {
      yield* TestClock.adjust(by)
      yield* Effect.orDie(setStoreClock(yield* DateTime.now))
    })
    // Every test starts at a time of its own, with nothing due.
    const fresh = Effect.gen(function* () {
      const stores = yield* allStores
      yield* advance("1 day")
      yield* stores.work.expire(1000)
      const { orders } = yield* stores.work.claim({ worker: "broom", lease, max: 1000 })
      yield* stores.work.settle(orders.map((order) => ({ order, outcome: completed })))
      return stores
    })
    const claimOne = Effect.fnUntraced(function* (worker = "w1") {
      const stores = yield* allStores
      const { orders } = yield* stores.work.claim({ worker, lease, max: 1 })
      const [order] = orders
      assert(order !== undefined, "nothing was due")
      return order
    })
    const takers = Effect.fnUntraced(function* (
      orders: ReadonlyArray<NewOrder>,
      keyed: ReadonlyArray<KeyedOrders>
    ) {
      const kept = yield* (yield* allStores).intake.submit(orders, keyed)
      return kept.map((each) => each?.requestId)
    })
    const stored = Effect.fnUntraced(function* (orders: ReadonlyArray<NewOrder>) {
      const stores = yield* allStores
      const found = yield* Effect.forEach(orders, ({ id }) => Effect.exit(stores.reads.find(id)))
      const n = found.filter(Exit.isSuccess).length
      return n === orders.length ? "all" : n === 0 ? "none" : `${n} of ${orders.length}`
    })
    const failedOrder = Effect.gen(function* () {
      const stores = yield* allStores
      const order = newOrder()
      yield* stores.intake.submit([order])
      yield* stores.work.settle([{ order: yield* claimOne(), outcome: failed }])
      return order.id
    })

    it.effect("a submitted order is found as it was given, PENDING and due now", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const given = newOrder({
          payload: { drink: "coffee", cups: [1, { size: null }] },
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

    it.effect("a submit that is repeated, because its answer got lost, changes nothing", () =>
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

    it.effect("the orders of a key are stored once, and whoever repeats it has what the first kept", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const [first, again, other] = [keyedOrder("k"), keyedOrder("k"), keyedOrder("k", "another")]
        const elsewhere = keyedOrder("k", "another", { scope: "somebody else" })
        const neighbour = newOrder()
        assert.deepStrictEqual(yield* takers([neighbour], [first]), [first.requestId])
        assert.deepStrictEqual(yield* takers([], [other, elsewhere, again]), [
          first.requestId,
          elsewhere.requestId,
          first.requestId
        ])
        const [kept] = yield* stores.intake.submit([], [again])
        for (const each of [kept, yield* stores.intake.findAnswer(again)])
          assert.deepStrictEqual([each?.answer, each?.fingerprint], [first.answer, first.fingerprint])
        assert.deepStrictEqual(yield* stored([neighbour, ...ordersOf(first, elsewhere)]), "all")
        assert.deepStrictEqual(yield* stored(ordersOf(again, other)), "none")
      })
    )

    it.effect(
      "a submit with keys that is repeated, because its answer got lost, knows its own keys again",
      () =>
        Effect.gen(function* () {
          yield* fresh
          const keyed = [keyedOrder("lost 1"), keyedOrder("lost 2")]
          const neighbour = newOrder()
          const first = yield* takers([neighbour], keyed)
          assert.deepStrictEqual(yield* takers([neighbour], keyed), first)
          assert.deepStrictEqual(
            first,
            keyed.map(({ requestId }) => requestId)
          )
          const stores = yield* allStores
          for (const { id } of [neighbour, ...ordersOf(...keyed)])
            assert.strictEqual((yield* stores.reads.timeline(id)).length, 1)
        })
    )

    it.effect("of equal keys in one batch the first in arrival takes it, and neighbours are stored", () =>
      Effect.gen(function* () {
        yield* fresh
        const [first, same, different] = [keyedOrder("z"), keyedOrder("z"), keyedOrder("z", "different")]
        const [before, after] = [keyedOrder("y"), keyedOrder("a")]
        const neighbour = newOrder()
        assert.deepStrictEqual(yield* takers([neighbour], [before, first, different, same, after]), [
          before.requestId,
          first.requestId,
          first.requestId,
          first.requestId,
          after.requestId
        ])
        assert.deepStrictEqual(yield* stored([neighbour, ...ordersOf(before, first, after)]), "all")
        assert.deepStrictEqual(yield* stored(ordersOf(same, different)), "none")
      })
    )

    it.effect("an answer is kept for its time, whatever becomes of the order; then its key is free", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const [first, late, tooLate] = [keyedOrder("e"), keyedOrder("e"), keyedOrder("e", "other")]
        yield* takers([], [first])
        yield* stores.work.settle([{ order: yield* claimOne(), outcome: completed }])
        yield* advance(Duration.subtract(keepFor, Duration.millis(1)))
        assert.deepStrictEqual(yield* takers([], [late]), [first.requestId])
        assert.strictEqual((yield* stores.intake.findAnswer(late))?.requestId, first.requestId)
        yield* advance("1 millis")
        // A look takes no key.
        assert.isNull(yield* stores.intake.findAnswer(late))
        assert.deepStrictEqual(yield* takers([], [tooLate, late]), [tooLate.requestId, tooLate.requestId])
        assert.deepStrictEqual(yield* stored(ordersOf(tooLate)), "all")
        assert.deepStrictEqual(yield* stored(ordersOf(late)), "none")
      })
    )

    it.effect("forgetting deletes the answers that have expired, so many at a time, and no others", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.upkeep.deleteExpiredKeys(1000)
        yield* takers(
          [],
          ["f1", "f2", "f3"].map((key) => keyedOrder(key))
        )
        const young = keyedOrder("f4", "other", { keepFor: Duration.times(keepFor, 2) })
        yield* takers([], [young])
        assert.strictEqual(yield* stores.upkeep.deleteExpiredKeys(2), 0)
        yield* advance(keepFor)
        const forgotten = yield* Effect.forEach([2, 2, 2], (max) => stores.upkeep.deleteExpiredKeys(max))
        assert.deepStrictEqual(forgotten, [2, 1, 0])
        assert.deepStrictEqual(yield* takers([], [keyedOrder("f4")]), [young.requestId])
      })
    )

    it.effect(
      "a call with a key and no order is answered once too, and text of any kind is kept as it is",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const answer = JSON.stringify({ path: ["\u0000", "\ud800", "ü"] })
          const first = keyedOrder("none", "nothing", { orders: [], answer })
          assert.deepStrictEqual(yield* takers([], [first]), [first.requestId])
          const [kept] = yield* stores.intake.submit([], [keyedOrder("none", "nothing")])
          assert.strictEqual(kept?.answer, answer)
        })
    )

    it.effect(
      "batches with the same keys in other orders at the same time agree, and none of them waits for ever",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          for (let round = 0; round < 20; round++) {
            const keys = Array.from({ length: 12 }, (_, n) => `round ${round} key ${n}`)
            const batches = Array.from({ length: 4 }, (_, n) => {
              const batch = keys.map((key) => keyedOrder(key))
              return n % 2 === 0 ? batch : batch.reverse()
            })
            // Where another is about to take the key it is asked for again, as a submit does.
            const insist: (
              batch: ReadonlyArray<KeyedOrders>
            ) => Effect.Effect<ReadonlyArray<StoredAnswer>, OrdersUnavailable> = Effect.fnUntraced(
              function* (batch) {
                const kept = yield* stores.intake.submit([], batch)
                const open = batch.filter((_, n) => kept[n] === null)
                const rest = open.length === 0 ? [] : yield* insist(open)
                return [...kept.filter((each) => each !== null), ...rest]
              }
            )
            const answers = yield* Effect.forEach(batches, insist, { concurrency: "unbounded" })
            const all = new Set(answers.flat().map(({ requestId }) => requestId))
            assert.strictEqual(all.size, keys.length)
            for (const batch of answers)
              assert.strictEqual(new Set(batch.map(({ requestId }) => requestId)).size, keys.length)
            const orders = batches.flat().map((keyed) => ({ keyed, order: ordersOf(keyed) }))
            for (const { keyed, order } of orders)
              assert.strictEqual(yield* stored(order), all.has(keyed.requestId) ? "all" : "none")
          }
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

    it.effect("a claim takes the best due orders: priority first, then due time, then id", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const later = newOrder({ notBefore: DateTime.add(yield* DateTime.now, { seconds: 10 }), priority: 9 })
        const [low, high1, high2] = [newOrder(), newOrder({ priority: 5 }), newOrder({ priority: 5 })]
        yield* stores.intake.submit([later, low, high2, high1])
        const first = yield* stores.work.claim({ worker: "w", lease, max: 2 })
        assert.deepStrictEqual(
          first.orders.map(({ id }) => id),
          [high1.id, high2.id].sort()
        )
        const second = yield* stores.work.claim({ worker: "w", lease, max: 2 })
        assert.deepStrictEqual(
          second.orders.map(({ id }) => id),
          [low.id]
        )
        assert.deepStrictEqual(second.nextDueIn, Duration.seconds(10))
        yield* advance("10 seconds")
        const third = yield* stores.work.claim({ worker: "w", lease, max: 2 })
        assert.deepStrictEqual(
          third.orders.map(({ id }) => id),
          [later.id]
        )
      })
    )

    it.effect("of a due order it is known how many are started before it, up to a limit", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const later = newOrder({ notBefore: DateTime.add(yield* DateTime.now, { seconds: 10 }), priority: 9 })
        const given = [4, 9, 4, 0, 9, 4].map((priority) => newOrder({ priority }))
        yield* stores.intake.submit([...given.slice(0, 3), later])
        yield* advance("1 second")
        yield* stores.intake.submit(given.slice(3))
        const places = Effect.forEach(given, ({ id }) => stores.reads.countDueBefore(id, 4))
        const before = yield* places
        assert.strictEqual(yield* stores.reads.countDueBefore(later.id, 4), null)
        assert.strictEqual(Math.max(...before.map(Number)), 4)
        // Each is started when as many were started as it had before it.
        const { orders: started } = yield* stores.work.claim({ worker: "w", lease, max: 10 })
        assert.strictEqual(started.length, 6)
        for (const [place, { id }] of started.entries())
          assert.strictEqual(before[given.findIndex((order) => order.id === id)], Math.min(place, 4))
        assert.deepStrictEqual(
          yield* places,
          given.map(() => null)
        )
      })
    )

    it.effect(
      "what happened to many orders is read from where each was left, and not beyond the limits",
      () =>
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

    it.effect("no order is given to two claims at the same time", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit(Array.from({ length: 200 }, () => newOrder()))
        const claims = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, n) => `w${n}`),
          (worker) => stores.work.claim({ worker, lease, max: 30 }),
          { concurrency: 10 }
        )
        const ids = claims.flatMap(({ orders }) => orders.map(({ id }) => id))
        assert.strictEqual(new Set(ids).size, ids.length)
        const rest = yield* stores.work.claim({ worker: "w", lease, max: 200 })
        assert.strictEqual(ids.length + rest.orders.length, 200)
      })
    )

    it.effect("a settle writes each outcome with its event, and a FAILED order with its dead letter", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit(Array.from({ length: 5 }, () => newOrder()))
        const { orders } = yield* stores.work.claim({ worker: "w1", lease, max: 5 })
        yield* advance("2 seconds")
        const outcomes: ReadonlyArray<Outcome> = [
          completed,
          failed,
          retried(1500),
          { event: "released", detail: "stopped" },
          { event: "snoozed", delay: Duration.seconds(9), detail: "later" }
        ]
        const settled = yield* stores.work.settle(
          orders.map((order, n) => ({ order, outcome: outcomes[n] ?? completed }))
        )
        assert.deepStrictEqual(settled, ["settled", "settled", "settled", "settled", "settled"])
        const now = yield* DateTime.now
        const after = yield* Effect.forEach(orders, ({ id }) => stores.reads.find(id))
        assert.deepStrictEqual(
          after.map(({ failureReason, retryCount, status, version }) => [
            status,
            retryCount,
            version,
            failureReason
          ]),
          [
            ["PROCESSED", 0, 3, null],
            ["FAILED", 1, 3, "broken"],
            ["PENDING", 1, 3, "not yet"],
            ["PENDING", 0, 3, null],
            ["PENDING", 0, 3, null]
          ]
        )
        assert.deepStrictEqual(
          after.map((order) => (order.status === "PENDING" ? DateTime.distance(now, order.dueAt) : null)),
          [null, null, Duration.millis(1500), Duration.seconds(-2), Duration.seconds(9)]
        )
        const last = yield* Effect.forEach(orders, ({ id }) =>
          Effect.map(stores.reads.timeline(id), (events) => events.at(-1))
        )
        assert.deepStrictEqual(
          last.map((event) => [
            event?.event,
            event?.attempt,
            event?.worker,
            event?.reasonCode,
            event?.detail
          ]),
          [
            ["completed", 1, "w1", null, null],
            ["failed", 1, "w1", "PERMANENT", null],
            ["retried", 1, "w1", "PROCESSING_FAILED", null],
            ["released", 1, "w1", null, "stopped"],
            ["snoozed", 1, "w1", null, "later"]
          ]
        )
        const failedId = orders[1]?.id
        assert(failedId !== undefined)
        assert.deepStrictEqual(yield* stores.deadLetters.find(failedId), {
          orderId: failedId,
          reason: "broken",
          reasonCode: "PERMANENT",
          retryCount: 1,
          failedAt: now
        })
      })
    )

    it.effect(
      "a settle that is repeated, because its answer got lost, has succeeded and changes nothing",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* stores.intake.submit([newOrder()])
          const order = yield* claimOne()
          assert.deepStrictEqual(yield* stores.work.settle([{ order, outcome: retried(0) }]), ["settled"])
          assert.deepStrictEqual(yield* stores.work.settle([{ order, outcome: retried(0) }]), ["repeated"])
          assert.strictEqual((yield* stores.reads.find(order.id)).retryCount, 1)
          // And still after the order has moved on.
          yield* claimOne("w2")
          assert.deepStrictEqual(yield* stores.work.settle([{ order, outcome: retried(0) }]), ["repeated"])
          assert.strictEqual((yield* stores.reads.find(order.id)).status, "PROCESSING")
        })
    )

    it.effect(
      "a settle of an attempt whose order was taken away is refused and changes nothing, and its neighbours are settled",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* stores.intake.submit([newOrder({ priority: 9 })])
          const zombie = yield* claimOne("frozen")
          yield* advance(Duration.sum(lease, Duration.seconds(1)))
          yield* stores.work.expire(10)
          const again = yield* claimOne("w2")
          assert.strictEqual(again.id, zombie.id)
          yield* stores.intake.submit([newOrder()])
          const neighbour = yield* claimOne("frozen")
          const settled = yield* stores.work.settle([
            { order: zombie, outcome: completed },
            { order: neighbour, outcome: completed }
          ])
          assert.deepStrictEqual(settled, ["stale", "settled"])
          assert.deepStrictEqual(yield* stores.reads.find(zombie.id), again)
          assert.deepStrictEqual(yield* stores.work.settle([{ order: again, outcome: completed }]), [
            "settled"
          ])
        })
    )

    it.effect(
      "a lease that runs out costs an attempt and makes the order due at once; the last one ends FAILED as WORKER_LOST",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const order = newOrder({ maxRetries: 2 })
          yield* stores.intake.submit([order])
          yield* claimOne("w1")
          yield* advance(Duration.subtract(lease, Duration.millis(1)))
          assert.deepStrictEqual(yield* stores.work.expire(10), [])
          const idle = yield* stores.work.claim({ worker: "w2", lease, max: 1 })
          assert.deepStrictEqual(idle.nextLeaseEndIn, Duration.millis(1))
          yield* advance("1 millis")
          const [expired] = yield* stores.work.expire(10)
          assert.deepStrictEqual([expired?.status, expired?.retryCount], ["PENDING", 1])
          yield* claimOne("w2")
          yield* advance(lease)
          const [lost] = yield* stores.work.expire(10)
          assert.deepStrictEqual([lost?.status, lost?.retryCount, lost?.version], ["FAILED", 2, 5])
          assert.strictEqual((yield* stores.deadLetters.find(order.id)).reasonCode, "WORKER_LOST")
          assert.deepStrictEqual(
            (yield* stores.reads.timeline(order.id)).map(({ attempt, event, worker }) => [
              event,
              attempt,
              worker
            ]),
            [
              ["created", 1, null],
              ["started", 1, "w1"],
              ["expired", 1, "w1"],
              ["started", 2, "w2"],
              ["expired", 2, "w2"]
            ]
          )
        })
    )

    it.effect(
      "a renewed lease does not run out, and renewing answers what the worker holds and nothing else",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* stores.intake.submit([newOrder(), newOrder()])
          const mine = yield* claimOne("w1")
          const other = yield* claimOne("w2")
          yield* advance("20 seconds")
          const held = yield* stores.work.renew("w1", lease)
          assert.deepStrictEqual(
            held.map(({ id, version }) => [id, version]),
            [[mine.id, mine.version]]
          )
          yield* advance("20 seconds")
          assert.deepStrictEqual(
            (yield* stores.work.expire(10)).map(({ id }) => id),
            [other.id]
          )
          assert.deepStrictEqual((yield* stores.reads.find(mine.id)).version, mine.version)
        })
    )

    it.effect("writes that come with an outcome run once, and only where the outcome is stored", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder()])
        const order = yield* claimOne("w1")
        let written = 0
        const writes = Effect.sync(() => written++)
        const settlement = { order, outcome: completed }
        assert.strictEqual(yield* stores.work.settleWithWrites(settlement, writes), "settled")
        assert.strictEqual(yield* stores.work.settleWithWrites(settlement, writes), "repeated")
        assert.strictEqual((yield* stores.reads.find(order.id)).status, "PROCESSED")
        assert.strictEqual(written, 1)
        yield* stores.intake.submit([newOrder()])
        const lost = yield* claimOne("w1")
        yield* advance(lease)
        yield* stores.work.expire(10)
        assert.strictEqual(
          yield* stores.work.settleWithWrites({ order: lost, outcome: completed }, writes),
          "stale"
        )
        assert.strictEqual(written, 1)
      })
    )

    it.effect("writes that fail leave the order as it was", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder()])
        const order = yield* claimOne("w1")
        const settlement = { order, outcome: completed }
        const refusal = new PermanentFailure({ reason: "sold out" })
        assert.strictEqual(yield* Effect.flip(stores.work.settleWithWrites(settlement, refusal)), refusal)
        assert.isTrue(
          Exit.hasDies(yield* Effect.exit(stores.work.settleWithWrites(settlement, Effect.die("boom"))))
        )
        assert.deepStrictEqual(yield* stores.reads.find(order.id), order)
        assert.strictEqual((yield* stores.reads.timeline(order.id)).length, 2)
        assert.strictEqual(yield* stores.work.settleWithWrites(settlement, Effect.void), "settled")
      })
    )

    it.effect(
      "of many reprocess calls at the same time exactly one succeeds, and the order starts anew",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const id = yield* failedOrder
          const results = yield* Effect.forEach(
            Array.from({ length: 20 }),
            () => Effect.result(stores.deadLetters.reprocess(id)),
            { concurrency: 20 }
          )
          const errors = results.flatMap((result) => (result._tag === "Failure" ? [result.failure._tag] : []))
          assert.deepStrictEqual(
            errors,
            Array.from({ length: 19 }, () => "OrderNotInDeadLetterQueue")
          )
          const order = yield* stores.reads.find(id)
          assert.deepStrictEqual([order.status, order.retryCount, order.failureReason], ["PENDING", 0, null])
          assert.strictEqual(
            (yield* Effect.flip(stores.deadLetters.find(id)))._tag,
            "OrderNotInDeadLetterQueue"
          )
          assert.strictEqual((yield* claimOne()).id, id)
        })
    )

    it.effect(
      "a discarded order stays FAILED without an entry, with the reason in its history, and is never reprocessed",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const id = yield* failedOrder
          const order = yield* stores.deadLetters.discard(id, { reason: "test data" })
          assert.deepStrictEqual([order.status, order.version, order.failureReason], ["FAILED", 4, "broken"])
          assert.deepStrictEqual(yield* stores.reads.find(id), order)
          assert.strictEqual((yield* stores.reads.timeline(id)).at(-1)?.reason, "test data")
          const again = yield* Effect.flip(stores.deadLetters.reprocess(id))
          assert.strictEqual(again._tag, "OrderNotInDeadLetterQueue")
          assert.strictEqual(
            (yield* Effect.flip(stores.deadLetters.discard(id)))._tag,
            "OrderNotInDeadLetterQueue"
          )
        })
    )

    it.effect("reprocess and discard refuse another version than the one named", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const id = yield* failedOrder
        assert.strictEqual(
          (yield* Effect.flip(stores.deadLetters.reprocess(id, { ifVersion: 2 })))._tag,
          "OrderVersionMismatch"
        )
        assert.strictEqual(
          (yield* Effect.flip(stores.deadLetters.discard(id, { ifVersion: 2 })))._tag,
          "OrderVersionMismatch"
        )
        assert.strictEqual((yield* stores.deadLetters.reprocess(id, { ifVersion: 3 })).version, 4)
      })
    )

    it.effect("an unknown order is not found by any call", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const { id } = newOrder()
        const calls = [
          stores.reads.find(id),
          stores.reads.timeline(id),
          stores.reads.countDueBefore(id, 1),
          stores.deadLetters.find(id),
          stores.deadLetters.reprocess(id),
          stores.deadLetters.discard(id)
        ]
        for (const call of calls) {
          assert.strictEqual(
            (yield* Effect.flip(call as Effect.Effect<unknown, { _tag: string }>))._tag,
            "OrderNotFound"
          )
        }
      })
    )

    it.effect("dead letters are paged newest first, none twice and none missed", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const before = new Set(
          (yield* stores.deadLetters.list({ limit: 1000, after: null })).entries.map(({ orderId }) => orderId)
        )
        const orders: Array<ProcessingOrder> = []
        for (let n = 0; n < 7; n++) {
          yield* stores.intake.submit([newOrder()])
          orders.push(yield* claimOne())
          if (n % 3 === 0) yield* advance("1 second")
          yield* stores.work.settle(orders.slice(-1).map((order) => ({ order, outcome: failed })))
        }
        const { entries: all } = yield* stores.deadLetters.list({ limit: 1000, after: null })
        const ours = all.filter(({ orderId }) => !before.has(orderId))
        assert.deepStrictEqual(ours.map(({ orderId }) => orderId).sort(), orders.map(({ id }) => id).sort())
        const paged = []
        for (let after: Position | null = null; ;) {
          const page: Listing<DeadLetter> = yield* stores.deadLetters.list({ limit: 2, after })
          paged.push(...page.entries)
          after = page.next
          if (after === null) break
        }
        assert.deepStrictEqual(paged, all)
        assert.deepStrictEqual(
          paged,
          [...paged].sort((a, b) => DateTime.Order(b.failedAt, a.failedAt))
        )
      })
    )

    /** All that a list has, page by page; `between` runs after each page. */
    const follow = Effect.fnUntraced(function* <A>(
      list: (page: Page) => Effect.Effect<Listing<A>, unknown>,
      limit: number,
      between?: Effect.Effect<unknown, unknown, R>
    ) {
      const found: Array<A> = []
      let after: Position | null = null
      do {
        const page: Listing<A> = yield* list({ limit, after })
        assert.isAtMost(page.entries.length, limit)
        found.push(...page.entries)
        after = page.next
        if (between !== undefined) yield* between
      } while (after !== null)
      return found
    }, Effect.orDie)
    const listed = (order: Order): unknown => {
      const { payload: _, ...listed } = order
      return listed
    }
    const newestFirst = (orders: ReadonlyArray<Order>) =>
      [...orders].sort((a, b) => DateTime.Order(b.createdAt, a.createdAt) || (a.id > b.id ? -1 : 1))

    /** Forty orders of a few times, in every state, with all sorts of metadata. */
    const allSorts = Effect.gen(function* () {
      const stores = yield* fresh
      const start = yield* DateTime.now
      const ids: Array<OrderId> = []
      for (let n = 0; n < 40; n++) {
        const metadata = {
          ...(n % 2 === 0 ? { shop: String(n % 3) } : {}),
          ...(n % 5 === 0 ? { "a.b c": '\u00fc"\\' } : {})
        }
        const order = newOrder({ metadata, payload: { n } })
        ids.push(order.id)
        yield* stores.intake.submit([order])
        if (n % 4 === 3) yield* advance("1 second")
      }
      const { orders } = yield* stores.work.claim({ worker: "w1", lease, max: 28 })
      const outcomes: ReadonlyArray<Outcome> = [completed, failed, retried(100_000)]
      yield* stores.work.settle(
        orders.slice(0, 21).map((order, n) => ({ order, outcome: outcomes[n % 3] ?? completed }))
      )
      const all = newestFirst(yield* Effect.forEach(ids, stores.reads.find))
      return { stores, start, all }
    })

    it.effect(
      "lists have every order that all of the filter lets through, newest first, in pages of any size",
      () =>
        Effect.gen(function* () {
          const { all, stores, start } = yield* allSorts
          const at = (seconds: number) => DateTime.add(start, { seconds })
          const filters: ReadonlyArray<OrderFilter> = [
            {},
            ...OrderStatus.literals.map((status) => ({ status })),
            { retrying: true },
            { retrying: true, status: "PENDING" },
            { retrying: true, status: "FAILED" },
            { createdBefore: at(3) },
            { createdAfter: at(3), createdBefore: at(3) },
            { createdAfter: at(3), createdBefore: at(4), status: "PROCESSED" },
            { createdAfter: at(1000) },
            { metadata: { shop: "0" } },
            { metadata: { shop: "1" }, status: "FAILED" },
            { metadata: { shop: "2" }, retrying: true },
            { metadata: { "a.b c": '\u00fc"\\' } },
            { metadata: { shop: "0", "a.b c": '\u00fc"\\' } },
            { metadata: { shop: "none" } },
            { metadata: { none: "0" } },
            { metadata: { shop: "0" }, createdAfter: at(2), createdBefore: at(7), status: "PENDING" }
          ]
          for (const given of filters) {
            // Other tests left orders of earlier days.
            const filter = { createdAfter: start, ...given }
            const matches = all.filter(
              (order) =>
                (filter.status === undefined || order.status === filter.status) &&
                (filter.retrying === undefined || (order.status === "PENDING" && order.retryCount > 0)) &&
                !DateTime.isLessThan(order.createdAt, filter.createdAfter) &&
                (filter.createdBefore === undefined ||
                  DateTime.isLessThan(order.createdAt, filter.createdBefore)) &&
                Object.entries(filter.metadata ?? {}).every(([key, value]) => order.metadata[key] === value)
            )
            for (const limit of [1, 3, 7, 200]) {
              const found = yield* follow((page) => stores.reads.list(page, filter), limit)
              assert.deepStrictEqual(found, matches.map(listed), JSON.stringify([given, limit]))
            }
          }
        })
    )

    it.effect(
      "paging passes every order that was there at the start once, while others come, move on and fail",
      () =>
        Effect.gen(function* () {
          const { all, stores, start } = yield* allSorts
          const filter = { createdAfter: start }
          const traffic = Effect.gen(function* () {
            yield* stores.intake.submit([newOrder({ metadata: { shop: "0" } }), newOrder()])
            yield* advance("1 millis")
            const { orders } = yield* stores.work.claim({ worker: "w2", lease, max: 2 })
            yield* stores.work.settle(
              orders.map((order, n) => ({ order, outcome: n === 0 ? failed : completed }))
            )
            yield* stores.work.expire(1)
          })
          for (const [given, there] of [
            [filter, all],
            [{ ...filter, metadata: { shop: "0" } }, all.filter(({ metadata }) => metadata["shop"] === "0")]
          ] as const) {
            const before = (yield* follow((page) => stores.reads.list(page, given), 200)).map(({ id }) => id)
            const found = (yield* follow((page) => stores.reads.list(page, given), 3, traffic)).map(
              ({ id }) => id
            )
            assert.strictEqual(new Set(found).size, found.length)
            assert.deepStrictEqual(found, before)
            assert.includeMembers(
              found,
              there.map(({ id }) => id)
            )
          }
        })
    )

    it.effect(
      "of many orders in every state and of every age exactly those are deleted that are final and old enough, each whole",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const ids: Array<OrderId> = []
          const outcomes: ReadonlyArray<Outcome> = [completed, failed, completed, failed, retried(1000)]
          const gone = (id: OrderId) =>
            Effect.map(Effect.exit(stores.reads.find(id)), (exit) => Exit.isFailure(exit))
          // Nothing is left of other tests: a day later what they scheduled was due, and is final now too.
          yield* fresh
          yield* advance("1 millis")
          yield* stores.upkeep.deleteOldOrders("PROCESSED", Duration.zero, 10_000)
          yield* stores.upkeep.deleteOldOrders("FAILED", Duration.zero, 10_000)
          for (let n = 0; n < 60; n++) {
            const given = Array.from({ length: 3 }, () => newOrder({ metadata: { retention: "x" } }))
            yield* stores.intake.submit(given)
            ids.push(...given.map(({ id }) => id))
            yield* stores.work.expire(10)
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
            // Of several that are as old as the last one within the limit any may go.
            const deleted = yield* stores.upkeep.deleteOldOrders(status, age, max)
            assert.strictEqual(deleted, oldest.length)
            const missing = []
            for (const order of before) if (yield* gone(order.id)) missing.push(order)
            assert.strictEqual(missing.length, deleted)
            for (const order of missing) {
              assert.include(old, order)
              assert.isTrue(Exit.isFailure(yield* Effect.exit(stores.reads.timeline(order.id))))
              const { entries } = yield* stores.deadLetters.list({ limit: 1000, after: null })
              assert.isFalse(entries.some(({ orderId }) => orderId === order.id))
              ids.splice(ids.indexOf(order.id), 1)
            }
            const listed = yield* follow(
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

    it.effect(
      "dead letters are listed by code, by a part of the reason and by time, all of it together",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const start = yield* DateTime.now
          const reasons = ["card declined", "50% off_limits", "Card stolen"]
          const codes = ["PERMANENT", "TIMEOUT"] as const
          for (let n = 0; n < 24; n++) {
            yield* stores.intake.submit([newOrder()])
            const order = yield* claimOne()
            const why = failure(codes[n % 2] ?? "PERMANENT", reasons[n % 3] ?? "")
            if (n % 4 === 0) yield* advance("1 second")
            yield* stores.work.settle([{ order, outcome: { event: "failed", failure: why } }])
          }
          const { entries: all } = yield* stores.deadLetters.list({ limit: 24, after: null })
          const at = (seconds: number) => DateTime.add(start, { seconds })
          const filters: ReadonlyArray<DeadLetterFilter> = [
            {},
            { reasonCode: "TIMEOUT" },
            { reasonCode: "DEFECT" },
            { reason: "card" },
            { reason: "% off_" },
            { reason: "%" },
            { reason: "none of this" },
            { failedBefore: at(3) },
            { failedAfter: at(2), failedBefore: at(4) },
            { failedAfter: at(2), failedBefore: at(6), reason: "Card", reasonCode: "PERMANENT" }
          ]
          for (const given of filters) {
            const filter = { failedAfter: start, ...given }
            const matches = all.filter(
              ({ failedAt, reason, reasonCode }) =>
                (filter.reasonCode === undefined || reasonCode === filter.reasonCode) &&
                reason.includes(filter.reason ?? "") &&
                !DateTime.isLessThan(failedAt, filter.failedAfter) &&
                (filter.failedBefore === undefined || DateTime.isLessThan(failedAt, filter.failedBefore))
            )
            for (const limit of [1, 5, 200]) {
              const found = yield* follow((page) => stores.deadLetters.list(page, filter), limit)
              assert.deepStrictEqual(found, matches, JSON.stringify([given, limit]))
            }
          }
        })
    )

    it.effect(
      "the figures count every order in its state, and what was created and completed in ten seconds",
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
