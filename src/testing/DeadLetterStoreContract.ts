import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import type { DeadLetter } from "../domain/DeadLetter.ts"
import { failure } from "../domain/Failure.ts"
import type { ProcessingOrder } from "../domain/Order.ts"
import type { DeadLetterFilter, Listing, Position } from "../domain/OrderQueries.ts"
import { newOrder } from "./NewOrders.ts"
import { failed, followPages, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What every `DeadLetterStore` must do. */
export const deadLetterStoreContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`DeadLetterStore on ${name}`, (it) => {
    const { advance, claimOne, failedOrder, fresh } = storeScenario(setStoreClock)

    it.effect("of many concurrent reprocess calls exactly one succeeds, and the order starts anew", () =>
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
      "a discarded order stays FAILED without a dead letter, with the reason in its history, and is never reprocessed",
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

    it.effect("reprocess and discard fail on another version than the one given", () =>
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

    it.effect("dead letters are filtered by code, part of the reason and time, all together", () =>
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
            const found = yield* followPages((page) => stores.deadLetters.list(page, filter), limit)
            assert.deepStrictEqual(found, matches, JSON.stringify([given, limit]))
          }
        }
      })
    )
  })
}
