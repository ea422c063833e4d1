import { assert, layer as describeLayer } from "@effect/vitest"
import { Duration, Effect, Exit } from "effect"
import type { KeyedOrders, StoredAnswer } from "../application/ports/IntakeStore.ts"
import type { NewOrder } from "../domain/Order.ts"
import type { OrdersUnavailable, TextNotStorable } from "../domain/OrderErrors.ts"
import { allStores } from "./AllStores.ts"
import { keepFor, keyedOrder, ordersOf, requestIdsOf } from "./KeyedOrders.ts"
import { newOrder } from "./NewOrders.ts"
import { completed, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What `submit` with idempotency keys must do in every implementation of `IntakeStore`. */
export const submitKeyedContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`IntakeStore: submit with keys on ${name}`, (it) => {
    const { advance, claimOne, fresh } = storeScenario(setStoreClock)

    const stored = Effect.fnUntraced(function* (orders: ReadonlyArray<NewOrder>) {
      const { reads } = yield* allStores
      const found = yield* Effect.forEach(orders, ({ id }) => Effect.exit(reads.find(id)))
      const n = found.filter(Exit.isSuccess).length
      return n === orders.length ? "all" : n === 0 ? "none" : `${n} of ${orders.length}`
    })

    it.effect("the orders of a key are stored once, and a repetition gets the stored answer", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const [first, again, other] = [keyedOrder("k"), keyedOrder("k"), keyedOrder("k", "another")]
        const elsewhere = keyedOrder("k", "another", { scope: "another caller" })
        const neighbour = newOrder()
        assert.deepStrictEqual(yield* requestIdsOf([neighbour], [first]), [first.requestId])
        assert.deepStrictEqual(yield* requestIdsOf([], [other, elsewhere, again]), [
          first.requestId,
          elsewhere.requestId,
          first.requestId
        ])
        const [taken] = yield* stores.intake.submit([], [again])
        for (const each of [taken, yield* stores.intake.findAnswer(again)])
          assert.deepStrictEqual([each?.answer, each?.fingerprint], [first.answer, first.fingerprint])
        assert.deepStrictEqual(yield* stored([neighbour, ...ordersOf(first, elsewhere)]), "all")
        assert.deepStrictEqual(yield* stored(ordersOf(again, other)), "none")
      })
    )

    it.effect("a submit with keys that is repeated after a lost reply recognises its own keys", () =>
      Effect.gen(function* () {
        yield* fresh
        const keyed = [keyedOrder("lost 1"), keyedOrder("lost 2")]
        const neighbour = newOrder()
        const first = yield* requestIdsOf([neighbour], keyed)
        assert.deepStrictEqual(yield* requestIdsOf([neighbour], keyed), first)
        assert.deepStrictEqual(
          first,
          keyed.map(({ requestId }) => requestId)
        )
        const stores = yield* allStores
        for (const { id } of [neighbour, ...ordersOf(...keyed)])
          assert.strictEqual((yield* stores.reads.timeline(id)).length, 1)
      })
    )

    it.effect(
      "of equal keys in one batch the first takes the key, and orders with other keys are stored",
      () =>
        Effect.gen(function* () {
          yield* fresh
          const [first, same, different] = [keyedOrder("z"), keyedOrder("z"), keyedOrder("z", "different")]
          const [before, after] = [keyedOrder("y"), keyedOrder("a")]
          const neighbour = newOrder()
          assert.deepStrictEqual(yield* requestIdsOf([neighbour], [before, first, different, same, after]), [
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

    it.effect("an answer stays until it expires, whatever happens to the order; then its key is free", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const [first, late, tooLate] = [keyedOrder("e"), keyedOrder("e"), keyedOrder("e", "other")]
        yield* requestIdsOf([], [first])
        yield* stores.work.settle([{ order: yield* claimOne(), outcome: completed }])
        yield* advance(Duration.subtract(keepFor, Duration.millis(1)))
        assert.deepStrictEqual(yield* requestIdsOf([], [late]), [first.requestId])
        assert.strictEqual((yield* stores.intake.findAnswer(late))?.requestId, first.requestId)
        yield* advance("1 millis")
        // Reading the answer does not take the key.
        assert.isNull(yield* stores.intake.findAnswer(late))
        assert.deepStrictEqual(yield* requestIdsOf([], [tooLate, late]), [
          tooLate.requestId,
          tooLate.requestId
        ])
        assert.deepStrictEqual(yield* stored(ordersOf(tooLate)), "all")
        assert.deepStrictEqual(yield* stored(ordersOf(late)), "none")
      })
    )

    it.effect(
      "a key without orders also keeps its first answer, and any text of an answer is stored unchanged",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const answer = JSON.stringify({ path: ["\u0000", "\ud800", "ü"] })
          const first = keyedOrder("none", "nothing", { orders: [], answer })
          assert.deepStrictEqual(yield* requestIdsOf([], [first]), [first.requestId])
          const [taken] = yield* stores.intake.submit([], [keyedOrder("none", "nothing")])
          assert.strictEqual(taken?.answer, answer)
        })
    )

    it.effect(
      "concurrent batches with the same keys in different orders agree, and none of them deadlocks",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          for (let round = 0; round < 20; round++) {
            const keys = Array.from({ length: 12 }, (_, n) => `round ${round} key ${n}`)
            const batches = Array.from({ length: 4 }, (_, n) => {
              const batch = keys.map((key) => keyedOrder(key))
              return n % 2 === 0 ? batch : batch.reverse()
            })
            // Repeats the call for each key that another call is taking, as `awaitAnswer` of the platform
            // does.
            const submitUntilAnswered: (
              batch: ReadonlyArray<KeyedOrders>
            ) => Effect.Effect<ReadonlyArray<StoredAnswer>, OrdersUnavailable | TextNotStorable> =
              Effect.fnUntraced(function* (batch) {
                const answers = yield* stores.intake.submit([], batch)
                const open = batch.filter((_, n) => answers[n] === null)
                const rest = open.length === 0 ? [] : yield* submitUntilAnswered(open)
                return [...answers.filter((each) => each !== null), ...rest]
              })
            const taken = yield* Effect.forEach(batches, submitUntilAnswered, { concurrency: "unbounded" })
            const all = new Set(taken.flat().map(({ requestId }) => requestId))
            assert.strictEqual(all.size, keys.length)
            for (const batch of taken)
              assert.strictEqual(new Set(batch.map(({ requestId }) => requestId)).size, keys.length)
            const orders = batches.flat().map((keyed) => ({ keyed, order: ordersOf(keyed) }))
            for (const { keyed, order } of orders)
              assert.strictEqual(yield* stored(order), all.has(keyed.requestId) ? "all" : "none")
          }
        })
    )
  })
}
