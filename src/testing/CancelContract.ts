import { assert, layer as describeLayer } from "@effect/vitest"
import { Duration, Effect } from "effect"
import type { Outcome } from "../domain/Order.ts"
import type { OrderId } from "../domain/OrderId.ts"
import { allStores } from "./AllStores.ts"
import { newOrder } from "./NewOrders.ts"
import { completed, failed, lease, retried, type StoreContract, storeScenario } from "./StoreScenario.ts"

const reason = "ordered twice"

/** What `cancel` must do in every implementation of `ControlStore`. */
export const cancelContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`ControlStore: cancel on ${name}`, (it) => {
    const { advance, claimNames, claimOne, failedOrder, fresh, settle } = storeScenario(setStoreClock)

    /** Asserts that the order was cancelled, and has neither a dead letter nor a further failure. */
    const assertCancelled = Effect.fnUntraced(function* (id: OrderId, worker: string | null, retryCount = 0) {
      const { deadLetters, reads } = yield* allStores
      const order = yield* reads.find(id)
      assert(order.status === "FAILED")
      assert.deepStrictEqual(
        [order.failureReason, order.retryCount, order.discardedAt],
        [reason, retryCount, order.updatedAt]
      )
      const last = (yield* reads.timeline(id)).at(-1)
      assert.deepStrictEqual(last, {
        at: order.updatedAt,
        event: "cancelled",
        from: worker === null ? "PENDING" : "PROCESSING",
        to: "FAILED",
        version: order.version,
        attempt: retryCount + 1,
        worker,
        reason,
        reasonCode: "CANCELLED",
        detail: null
      })
      assert.strictEqual((yield* Effect.flip(deadLetters.find(id)))._tag, "OrderNotInDeadLetterQueue")
      assert.strictEqual((yield* Effect.flip(deadLetters.reprocess(id)))._tag, "OrderNotInDeadLetterQueue")
    })

    it.effect("a PENDING order is cancelled at once, and neither starts nor becomes a dead letter", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const order = newOrder()
        yield* stores.intake.submit([order])
        yield* settle([yield* claimOne()], retried(0))
        const cancelled = yield* stores.control.cancel(order.id, { reason })
        assert.deepStrictEqual(cancelled, yield* stores.reads.find(order.id))
        assert.strictEqual(cancelled.version, 4)
        yield* assertCancelled(order.id, null, 1)
        assert.deepStrictEqual(yield* claimNames(), [])
      })
    )

    it.effect("the cancel of a running order is a request, which its worker finds", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder(), newOrder()])
        const order = yield* claimOne()
        yield* claimOne("w2")
        assert.deepStrictEqual(yield* stores.work.findCancelRequests("w1"), [])
        const requested = yield* stores.control.cancel(order.id, { reason })
        assert.deepStrictEqual(requested, { ...order, cancelRequested: reason })
        assert.deepStrictEqual(yield* stores.reads.find(order.id), requested)
        assert.strictEqual((yield* stores.reads.timeline(order.id)).length, 2)
        assert.deepStrictEqual(yield* stores.work.findCancelRequests("w1"), [order.id])
        assert.deepStrictEqual(yield* stores.work.findCancelRequests("w2"), [])
        const [held] = yield* stores.work.renew("w1", lease)
        assert.deepStrictEqual([held?.id, held?.cancelRequested], [order.id, reason])
        yield* settle([order], { event: "cancelled" })
        yield* assertCancelled(order.id, "w1")
        assert.deepStrictEqual(yield* stores.work.findCancelRequests("w1"), [])
      })
    )

    const outcomes: ReadonlyArray<Outcome> = [
      failed,
      retried(1000),
      { event: "released", detail: "stopped" },
      { event: "snoozed", delay: Duration.seconds(9), detail: "later" },
      { event: "cancelled" }
    ]
    for (const outcome of outcomes)
      it.effect(`a requested order whose attempt is settled as ${outcome.event} is cancelled`, () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* stores.intake.submit([newOrder()])
          yield* settle([yield* claimOne()], retried(0))
          const order = yield* claimOne()
          yield* stores.control.cancel(order.id, { reason })
          yield* settle([order], outcome)
          yield* assertCancelled(order.id, "w1", 1)
          // The settle is repeated, as after a lost reply.
          assert.deepStrictEqual(yield* stores.work.settle([{ order, outcome }]), ["repeated"])
          assert.deepStrictEqual(yield* stores.work.settle([{ order, outcome: completed }]), ["stale"])
        })
      )

    it.effect("a requested order whose attempt completes is PROCESSED", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder(), newOrder()])
        const [one, two] = [yield* claimOne(), yield* claimOne()]
        yield* stores.control.cancel(one.id, { reason })
        yield* stores.control.cancel(two.id, { reason })
        yield* settle([one], completed)
        let written = 0
        const settlement = { order: two, outcome: completed }
        assert.strictEqual(
          yield* stores.work.settleWithWrites(
            settlement,
            Effect.sync(() => written++)
          ),
          "settled"
        )
        assert.strictEqual(written, 1)
        for (const { id } of [one, two]) {
          const order = yield* stores.reads.find(id)
          assert.deepStrictEqual([order.status, order.version, order.failureReason], ["PROCESSED", 3, null])
          assert.notProperty(order, "cancelRequested")
        }
      })
    )

    it.effect("a requested order whose lease ends is cancelled, also in its last attempt", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder(), newOrder({ maxRetries: 1 })])
        const [one, last] = [yield* claimOne(), yield* claimOne()]
        for (const { id } of [one, last]) yield* stores.control.cancel(id, { reason })
        yield* advance(lease)
        const expired = yield* stores.work.expire(10)
        assert.deepStrictEqual(
          expired.map(({ status }) => status),
          ["FAILED", "FAILED"]
        )
        for (const { id } of [one, last]) yield* assertCancelled(id, "w1")
      })
    )

    it.effect("a second request changes nothing", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder()])
        const order = yield* claimOne()
        const first = yield* stores.control.cancel(order.id, { reason })
        assert.deepStrictEqual(yield* stores.control.cancel(order.id, { reason: "another" }), first)
        yield* settle([order], failed)
        yield* assertCancelled(order.id, "w1")
      })
    )

    it.effect("a request is for the attempt in which it was made: none is left after a reprocess", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const id = yield* failedOrder
        yield* stores.deadLetters.reprocess(id)
        const order = yield* claimOne()
        assert.strictEqual(order.cancelRequested, null)
        yield* settle([order], retried(0))
        assert.strictEqual((yield* stores.reads.find(id)).status, "PENDING")
      })
    )

    it.effect("a cancel of an order that was cancelled succeeds and changes nothing", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const order = newOrder()
        yield* stores.intake.submit([order])
        const cancelled = yield* stores.control.cancel(order.id, { reason })
        assert.deepStrictEqual(yield* stores.control.cancel(order.id, { reason: "again" }), cancelled)
        assert.deepStrictEqual(yield* stores.reads.find(order.id), cancelled)
        assert.strictEqual((yield* stores.reads.timeline(order.id)).length, 2)
      })
    )

    it.effect("an order that is PROCESSED or in the dead letter queue cannot be cancelled", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const done = newOrder()
        yield* stores.intake.submit([done])
        yield* settle([yield* claimOne()], completed)
        const dead = yield* failedOrder
        for (const [id, status] of [
          [done.id, "PROCESSED"],
          [dead, "FAILED"]
        ] as const) {
          const before = yield* stores.reads.find(id)
          const error = yield* Effect.flip(stores.control.cancel(id, { reason }))
          assert(error._tag === "OrderStateConflict")
          assert.deepStrictEqual([error.orderId, error.orderStatus], [id, status])
          assert.deepStrictEqual(yield* stores.reads.find(id), before)
        }
        assert.strictEqual((yield* stores.deadLetters.find(dead)).orderId, dead)
      })
    )

    it.effect("a cancel fails on another version than the one given", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const order = newOrder()
        yield* stores.intake.submit([order])
        const cancel = (ifVersion: number) => stores.control.cancel(order.id, { reason, ifVersion })
        assert.strictEqual((yield* Effect.flip(cancel(2)))._tag, "OrderVersionMismatch")
        yield* claimOne()
        assert.strictEqual((yield* Effect.flip(cancel(1)))._tag, "OrderVersionMismatch")
        assert.strictEqual((yield* cancel(2)).version, 2)
      })
    )

    it.effect("of a cancel and a claim at the same time each order has one result", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const given = Array.from({ length: 30 }, () => newOrder())
        yield* stores.intake.submit(given)
        const [{ orders }] = yield* Effect.all(
          [
            stores.work.claim({ worker: "w1", lease, max: 30 }),
            Effect.forEach(given, ({ id }) => stores.control.cancel(id, { reason }), { concurrency: 5 })
          ],
          { concurrency: "unbounded" }
        )
        yield* stores.work.settle(orders.map((order) => ({ order, outcome: retried(0) })))
        const started = new Set(orders.map(({ id }) => id))
        for (const { id } of given) yield* assertCancelled(id, started.has(id) ? "w1" : null)
      })
    )
  })
}
