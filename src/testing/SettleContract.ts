import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit } from "effect"
import { PermanentFailure } from "../application/ports/OrderProcessor.ts"
import type { Outcome } from "../domain/Order.ts"
import { newOrder } from "./NewOrders.ts"
import { completed, failed, lease, retried, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What `settle` and `settleWithWrites` must do in every implementation of `WorkStore`. */
export const settleContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`WorkStore: settle on ${name}`, (it) => {
    const { advance, claimOne, fresh } = storeScenario(setStoreClock)

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
          failedAt: now,
          fingerprint: "e73af08fda055397"
        })
      })
    )

    it.effect("a settle that is repeated after a lost reply succeeds and changes nothing", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder()])
        const order = yield* claimOne()
        assert.deepStrictEqual(yield* stores.work.settle([{ order, outcome: retried(0) }]), ["settled"])
        assert.deepStrictEqual(yield* stores.work.settle([{ order, outcome: retried(0) }]), ["repeated"])
        assert.strictEqual((yield* stores.reads.find(order.id)).retryCount, 1)
        // The same is true after a worker, even the same one, has started the order again.
        for (const worker of ["w1", "w2"]) {
          const again = yield* claimOne(worker)
          assert.deepStrictEqual(yield* stores.work.settle([{ order, outcome: retried(0) }]), ["repeated"])
          assert.deepStrictEqual(yield* stores.reads.find(order.id), again)
          const released = { event: "released", detail: "stopped" } as const
          yield* stores.work.settle([{ order: again, outcome: released }])
        }
      })
    )

    it.effect(
      "a settle of an attempt that lost its order is stale and changes nothing; the others of its group are settled",
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
      "an outcome of an earlier attempt is stale, also for the worker that runs the order again",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* stores.intake.submit([newOrder()])
          const earlier = yield* claimOne("w1")
          yield* stores.work.settle([{ order: earlier, outcome: retried(0) }])
          const again = yield* claimOne("w1")
          assert.strictEqual(again.id, earlier.id)
          assert.deepStrictEqual(yield* stores.work.settle([{ order: earlier, outcome: completed }]), [
            "stale"
          ])
          assert.deepStrictEqual(yield* stores.reads.find(earlier.id), again)
        })
    )

    it.effect("writes run once, and only if their outcome is stored", () =>
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
  })
}
