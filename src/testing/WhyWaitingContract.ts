import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { newOrder } from "./NewOrders.ts"
import { lease, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What `whyWaiting` must do in every implementation of `OrderReads`. */
export const whyWaitingContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`OrderReads: whyWaiting on ${name}`, (it) => {
    const { advance, fresh } = storeScenario(setStoreClock)

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
        // Each order is started after exactly as many orders as were counted before it.
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
