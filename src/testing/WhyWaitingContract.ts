import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { type GroupLimits, noLimits } from "../domain/Groups.ts"
import type { OrderId } from "../domain/OrderId.ts"
import type { WhyWaiting } from "../domain/WhyWaiting.ts"
import { allStores } from "./AllStores.ts"
import { newOrder } from "./NewOrders.ts"
import { completed, lease, retried, type StoreContract, storeScenario } from "./StoreScenario.ts"

const ann = { by: "ann", correlationId: "c-1" }
const free: WhyWaiting = { why: "no free slot", before: 0 }
const behind = (orderId: OrderId): WhyWaiting => ({ why: "behind its key", orderId })
const report = {
  host: "host-1",
  version: "1.2.3",
  role: "worker",
  capacity: 10,
  inFlight: 0,
  draining: false,
  breakers: []
}

/** What `whyWaiting` must do in every implementation of `OrderReads`. */
export const whyWaitingContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`OrderReads: whyWaiting on ${name}`, (it) => {
    const { advance, claim, claimOne, fresh, settle } = storeScenario(setStoreClock)

    const why = Effect.fnUntraced(function* (id: OrderId, defaultLimits: GroupLimits = noLimits) {
      const { reads } = yield* allStores
      return yield* reads.whyWaiting(id, { limit: 10, defaultLimits })
    })

    it.effect(
      "of several reasons the first is given: an order that has all of them loses one after the other",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const start = yield* DateTime.now
          const orderingKey = "all reasons"
          const before = newOrder({ type: "a", orderingKey })
          const order = newOrder({
            type: "a",
            orderingKey,
            group: "g",
            notBefore: DateTime.add(start, { seconds: 10 })
          })
          const scope = { type: null, group: "g" }
          yield* stores.intake.submit([before, order])
          yield* stores.control.pause({ ...scope, reason: "bank down", resumeAt: null }, ann)
          yield* stores.control.setGroupLimits("g", { maxRunning: 1, ratePerSecond: 0.1, maxPending: null })
          yield* stores.intake.submit([newOrder({ group: "g", type: "b", priority: 1 })])
          assert.deepStrictEqual(yield* why(order.id), { why: "not due" })

          yield* advance("10 seconds")
          assert.deepStrictEqual(yield* why(order.id), behind(before.id))
          yield* stores.control.cancel(before.id, { reason: "x" })
          yield* stores.work.deregister("w1")
          assert.deepStrictEqual(yield* why(order.id), {
            why: "paused",
            pause: { ...scope, reason: "bank down", by: "ann", since: start, resumeAt: null }
          })

          yield* stores.control.resume(scope)
          assert.deepStrictEqual(yield* why(order.id), { why: "no worker for its type" })
          yield* stores.work.renew("b only", lease, { ...report, types: ["b"] })
          assert.deepStrictEqual(yield* why(order.id), { why: "no worker for its type" })

          yield* stores.work.renew("w1", lease, { ...report, types: ["a", "c"] })
          const running = yield* claim({ worker: "b only", types: ["b"] })
          const since = yield* DateTime.now
          const breakers = [
            { type: "c", state: "open", since: start },
            { type: "a", state: "half-open", since }
          ] as const
          yield* stores.work.renew("w1", lease, { ...report, types: ["a", "c"], breakers })
          assert.deepStrictEqual(yield* why(order.id), { why: "breaker is open", since })
          yield* stores.work.renew("w2", lease, { ...report, types: null })
          assert.deepStrictEqual(yield* why(order.id), { why: "group is full", running: 1, maxRunning: 1 })
          yield* settle(running.orders, completed)
          assert.deepStrictEqual(yield* why(order.id), {
            why: "group has used its rate",
            ratePerSecond: 0.1,
            nextAt: DateTime.add(start, { seconds: 20 })
          })

          yield* advance("10 seconds")
          assert.deepStrictEqual(yield* why(order.id), free)
          assert.strictEqual((yield* claimOne()).id, order.id)
          assert.strictEqual(yield* why(order.id), null)
        })
    )

    it.effect("an order waits behind the first order of its key, whatever state that is in", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.work.renew("w1", lease)
        const given = [0, 5, 9].map((priority) => newOrder({ orderingKey: "first", priority }))
        const [first, second, third] = given.map(({ id }) => id)
        assert(first !== undefined && second !== undefined && third !== undefined)
        yield* stores.intake.submit(given)
        const reasons = Effect.forEach([first, second, third], (id) => why(id))
        // No claim has chosen the head of the key yet.
        assert.deepStrictEqual(yield* reasons, [free, behind(first), behind(first)])
        yield* claim({ max: 0 })
        assert.deepStrictEqual(yield* reasons, [free, behind(first), behind(first)])
        yield* settle([yield* claimOne()], retried(5000))
        assert.deepStrictEqual(yield* reasons, [{ why: "not due" }, behind(first), behind(first)])
        yield* advance("5 seconds")
        const running = yield* claimOne()
        assert.deepStrictEqual(yield* reasons, [null, behind(first), behind(first)])
        yield* settle([running], completed)
        assert.deepStrictEqual(yield* reasons, [null, free, behind(second)])
      })
    )

    it.effect("default limits are the reason only of groups without limits of their own", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const defaults = { ...noLimits, maxRunning: 1 }
        yield* stores.control.setGroupLimits("own", { ...noLimits, maxRunning: 2 })
        const groups = ["own", "default", null]
        yield* stores.intake.submit(groups.map((group) => newOrder({ group })))
        yield* claim()
        const waiting = groups.map((group) => newOrder({ group }))
        yield* stores.intake.submit(waiting)
        assert.deepStrictEqual(yield* Effect.forEach(waiting, ({ id }) => why(id, defaults)), [
          free,
          { why: "group is full", running: 1, maxRunning: 1 },
          free
        ])
        assert.deepStrictEqual(yield* Effect.forEach(waiting, ({ id }) => why(id)), [free, free, free])
      })
    )

    it.effect(
      "a worker whose lease has ended takes no orders; one that has not reported takes all types",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const order = newOrder({ type: "rare" })
          yield* claim({ worker: "silent", types: ["other"] })
          yield* stores.intake.submit([order])
          assert.deepStrictEqual(yield* why(order.id), free)
          yield* advance(lease)
          assert.deepStrictEqual(yield* why(order.id), { why: "no worker for its type" })
        })
    )

    it.effect("of several pauses the oldest is given", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const order = newOrder({ type: "a", group: "g" })
        yield* stores.intake.submit([order])
        const scopes = [
          { type: "a", group: "g" },
          { type: "b", group: null },
          { type: null, group: "g" },
          { type: null, group: null }
        ]
        for (const scope of scopes) {
          yield* stores.control.pause({ ...scope, reason: "x", resumeAt: null })
          yield* advance("1 millis")
        }
        for (const scope of scopes.filter(({ type }) => type !== "b")) {
          const reason = yield* why(order.id)
          assert(reason?.why === "paused")
          assert.deepStrictEqual([reason.pause.type, reason.pause.group], [scope.type, scope.group])
          yield* stores.control.resume(scope)
        }
        assert.deepStrictEqual(yield* why(order.id), { why: "no worker for its type" })
      })
    )

    it.effect("the due orders that are claimed before an order are counted up to a limit", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.work.renew("w", lease)
        const later = newOrder({ notBefore: DateTime.add(yield* DateTime.now, { seconds: 10 }), priority: 9 })
        const given = [4, 9, 4, 0, 9, 4].map((priority) => newOrder({ priority }))
        yield* stores.intake.submit([...given.slice(0, 3), later])
        yield* advance("1 second")
        yield* stores.intake.submit(given.slice(3))
        const reasons = Effect.forEach(given, ({ id }) => stores.reads.whyWaiting(id, { limit: 4 }))
        const before = yield* reasons
        assert.deepStrictEqual(yield* stores.reads.whyWaiting(later.id, { limit: 4 }), { why: "not due" })
        // As many orders are started before each order as were counted before it.
        const { orders: started } = yield* stores.work.claim({ worker: "w", lease, max: 10 })
        assert.strictEqual(started.length, 6)
        for (const [place, { id }] of started.entries())
          assert.deepStrictEqual(before[given.findIndex((order) => order.id === id)], {
            why: "no free slot",
            before: Math.min(place, 4)
          })
        assert.deepStrictEqual(
          yield* reasons,
          given.map(() => null)
        )
      })
    )
  })
}
