import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { newOrder } from "./NewOrders.ts"
import { completed, retried, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What `run` must do in every implementation of `ControlStore`. */
export const runContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`ControlStore: run on ${name}`, (it) => {
    const { advance, claimNames, claimOne, failedOrder, fresh, settle } = storeScenario(setStoreClock)

    it.effect("an order that waits for its time is due now, with an event in its history", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const notBefore = DateTime.add(yield* DateTime.now, { minutes: 1 })
        const order = newOrder({ notBefore })
        yield* stores.intake.submit([order])
        assert.deepStrictEqual(yield* claimNames(), [])
        yield* advance("10 seconds")
        const now = yield* DateTime.now
        const before = yield* stores.reads.find(order.id)
        const hastened = yield* stores.control.run(order.id)
        assert(before.status === "PENDING")
        assert.deepStrictEqual(hastened, { ...before, version: 2, updatedAt: now, dueAt: now })
        assert.deepStrictEqual(yield* stores.reads.find(order.id), hastened)
        assert.deepStrictEqual((yield* stores.reads.timeline(order.id)).at(-1), {
          at: now,
          event: "hastened",
          from: "PENDING",
          to: "PENDING",
          version: 2,
          attempt: 1,
          worker: null,
          reason: null,
          reasonCode: null,
          detail: null
        })
        assert.strictEqual((yield* claimOne()).id, order.id)
      })
    )

    it.effect("an order that waits for its next attempt is due now, and keeps its failures", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder()])
        yield* settle([yield* claimOne()], retried(60_000))
        const [waiting] = (yield* stores.reads.list({ limit: 1, after: null })).entries
        assert(waiting !== undefined)
        const hastened = yield* stores.control.run(waiting.id)
        assert.deepStrictEqual(
          [hastened.status, hastened.retryCount, hastened.failureReason],
          ["PENDING", 1, "not yet"]
        )
        assert.strictEqual((yield* claimOne()).retryCount, 1)
      })
    )

    it.effect("an order that is due, runs or is final is not changed", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const [done, running, due] = [9, 5, 1].map((priority) => newOrder({ priority }))
        assert(done !== undefined && running !== undefined && due !== undefined)
        const failed = yield* failedOrder
        yield* stores.intake.submit([done, running, due])
        yield* settle([yield* claimOne()], completed)
        yield* claimOne()
        for (const [id, status] of [
          [due.id, "PENDING"],
          [running.id, "PROCESSING"],
          [done.id, "PROCESSED"],
          [failed, "FAILED"]
        ] as const) {
          const before = yield* stores.reads.find(id)
          const error = yield* Effect.flip(stores.control.run(id))
          assert(error._tag === "OrderStateConflict")
          assert.deepStrictEqual([error.orderId, error.orderStatus], [id, status])
          assert.deepStrictEqual(yield* stores.reads.find(id), before)
        }
      })
    )
  })
}
