import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import { lease, named, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What every implementation of `WorkStore` must do with orders of several types. */
export const typeContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`WorkStore: types on ${name}`, (it) => {
    const { advance, claim, claimNames, fresh } = storeScenario(setStoreClock)

    it.effect("a claim takes only the types that it asks for, the best of them first", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([
          named("invoice", { type: "invoice" }),
          named("default", { priority: 2 }),
          named("email", { type: "email", priority: 5 }),
          named("urgent invoice", { type: "invoice", priority: 3 })
        ])
        assert.deepStrictEqual(yield* claimNames({ types: [] }), [])
        assert.deepStrictEqual(yield* claimNames({ types: ["unknown"] }), [])
        assert.deepStrictEqual(yield* claimNames({ types: ["invoice", "default"] }), [
          "urgent invoice",
          "default",
          "invoice"
        ])
        assert.deepStrictEqual(yield* claimNames(), ["email"], "without types it takes every type")
      })
    )

    it.effect("a claim takes no more of a type than it asks for", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const given: Array<ReturnType<typeof named>> = []
        for (let n = 1; n <= 3; n++) {
          given.push(named(`a${n}`, { type: "a", priority: 5 }), named(`b${n}`, { type: "b", priority: 3 }))
          given.push(named(`c${n}`, { type: "c" }))
          yield* stores.intake.submit(given.slice(-3))
          yield* advance("1 second")
        }
        assert.deepStrictEqual(yield* claimNames({ maxOfType: { a: 0, b: 2, c: 9 }, max: 4 }), [
          "b1",
          "b2",
          "c1",
          "c2"
        ])
        assert.deepStrictEqual(yield* claimNames({ types: ["a", "c"], maxOfType: { a: 2 }, max: 2 }), [
          "a1",
          "a2"
        ])
        assert.deepStrictEqual(yield* claimNames({ maxOfType: { a: 1 } }), ["a3", "b3", "c3"])
      })
    )

    it.effect("orders that differ only in their type are taken by due time", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        for (const [n, type] of ["b", "a", "b", "c", "a"].entries()) {
          yield* stores.intake.submit([named(`${type}${n}`, { type })])
          yield* advance("1 second")
        }
        assert.deepStrictEqual(yield* claimNames({ max: 4 }), ["b0", "a1", "b2", "c3"])
      })
    )

    it.effect("the next due time is that of the types that the claim takes", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const now = yield* DateTime.now
        const inSeconds = (seconds: number) => DateTime.add(now, { seconds })
        yield* stores.intake.submit([named("later", { type: "a", notBefore: inSeconds(9) })])
        assert.deepStrictEqual((yield* claim({ types: ["a", "b"] })).nextDueIn, Duration.seconds(9))
        yield* stores.intake.submit([named("soon", { type: "b", notBefore: inSeconds(3) })])
        assert.deepStrictEqual((yield* claim({ types: ["a", "b"] })).nextDueIn, Duration.seconds(3))
        assert.deepStrictEqual((yield* claim()).nextDueIn, Duration.seconds(3))
      })
    )

    it.effect(
      "the types of orders that no worker takes are listed by name, unless all their orders are scheduled",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const notBefore = DateTime.add(yield* DateTime.now, { hours: 1 })
          const report = {
            host: "h",
            version: "1",
            role: "worker",
            capacity: 1,
            inFlight: 0,
            draining: false,
            breakers: []
          }
          yield* stores.intake.submit([
            named("c", { type: "c" }),
            named("b", { type: "b", group: "g" }),
            named("a", { type: "a", orderingKey: "k" }),
            named("default"),
            ...["scheduled", "c"].flatMap((type) => [
              named(`${type} later`, { type, notBefore }),
              named(`${type} of a group later`, { type, group: "g", notBefore }),
              named(`${type} of a key later`, { type, orderingKey: "k", notBefore })
            ])
          ])
          assert.deepStrictEqual(yield* stores.control.typesWithoutWorker, ["a", "b", "c", "default"])
          yield* stores.work.renew("some", lease, { ...report, types: ["b", "x"] })
          assert.deepStrictEqual(yield* stores.control.typesWithoutWorker, ["a", "c", "default"])
          yield* advance("20 seconds")
          yield* stores.work.renew("all", lease, { ...report, types: null })
          assert.deepStrictEqual(yield* stores.control.typesWithoutWorker, [])
          yield* advance(lease)
          assert.deepStrictEqual(yield* stores.control.typesWithoutWorker, ["a", "b", "c", "default"])
        })
    )
  })
}
