import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import type { PauseScope } from "../domain/Pauses.ts"
import { allStores } from "./AllStores.ts"
import { completed, lease, named, type StoreContract, storeScenario } from "./StoreScenario.ts"

const everything: PauseScope = { type: null, group: null }
const ann = { by: "ann", correlationId: "c-1" }

/** What every implementation of `ControlStore` must do with pauses. */
export const pauseContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`ControlStore: pauses on ${name}`, (it) => {
    const { advance, claim, claimNames, claimOne, fresh, settle } = storeScenario(setStoreClock)

    const pause = Effect.fnUntraced(function* (scope: PauseScope, seconds: number | null = null) {
      const { control } = yield* allStores
      const resumeAt = seconds === null ? null : DateTime.add(yield* DateTime.now, { seconds })
      yield* control.pause({ ...scope, reason: "bank down", resumeAt }, ann)
    })
    const resume = (scope: PauseScope) => Effect.flatMap(allStores, ({ control }) => control.resume(scope))

    /** Four orders: each combination of two types and two groups. */
    const submitFour = Effect.gen(function* () {
      const { intake } = yield* allStores
      for (const type of ["a", "b"])
        for (const group of ["g", null]) yield* intake.submit([named(`${type}-${group}`, { type, group })])
    })

    it.effect("no order starts during a pause of all orders, and running ones are not affected", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* submitFour
        const order = yield* claimOne()
        yield* pause(everything)
        const paused = yield* claim()
        assert.deepStrictEqual([paused.orders, paused.nextDueIn], [[], null])
        assert.strictEqual((yield* stores.work.renew("w1", lease)).length, 1)
        yield* settle([order], completed)
        yield* resume(everything)
        assert.strictEqual((yield* claimNames()).length, 3)
      })
    )

    for (const [scope, paused] of [
      [{ type: "a", group: null }, ["a-g", "a-null"]],
      [{ type: null, group: "g" }, ["a-g", "b-g"]],
      [{ type: "a", group: "g" }, ["a-g"]],
      [{ type: "c", group: "g" }, []]
    ] as const)
      it.effect(
        `a pause of ${JSON.stringify(scope)} holds back exactly the orders of that scope, until its resume`,
        () =>
          Effect.gen(function* () {
            yield* fresh
            yield* submitFour
            yield* pause(scope)
            const all = ["a-g", "a-null", "b-g", "b-null"]
            assert.sameMembers(
              [...(yield* claimNames())],
              all.filter((name) => !paused.some((each) => each === name))
            )
            // A resume of another scope does not end it.
            for (const other of [everything, { ...scope, type: "b" }, { ...scope, group: "h" }])
              yield* resume(other)
            assert.deepStrictEqual(yield* claimNames(), [])
            yield* resume(scope)
            assert.sameMembers([...(yield* claimNames())], [...paused])
          })
      )

    it.effect("a pause ends by itself, and the next claim is worthwhile at that time", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([named("a", { type: "a" })])
        yield* pause(everything, 10)
        yield* pause({ type: "a", group: null }, 4)
        assert.deepStrictEqual((yield* claim()).nextDueIn, Duration.seconds(10))
        yield* resume(everything)
        assert.deepStrictEqual((yield* claim()).nextDueIn, Duration.seconds(4))
        yield* advance("3999 millis")
        assert.deepStrictEqual(yield* claimNames(), [])
        yield* advance("1 millis")
        assert.deepStrictEqual(yield* stores.control.pauses, [])
        assert.deepStrictEqual(yield* claimNames(), ["a"])
      })
    )

    for (const [paused, expected] of [
      [5, Duration.seconds(7)],
      [9, Duration.seconds(9)],
      [null, null]
    ] as const)
      it.effect(
        `an order that is due in 7 seconds and paused for ${paused ?? "more"} is a reason to claim at the later time`,
        () =>
          Effect.gen(function* () {
            const stores = yield* fresh
            const notBefore = DateTime.add(yield* DateTime.now, { seconds: 7 })
            yield* pause({ type: "a", group: null }, paused)
            yield* pause({ type: "b", group: null })
            yield* stores.intake.submit([named("a", { type: "a", notBefore }), named("b", { type: "b" })])
            assert.deepStrictEqual((yield* claim()).nextDueIn, expected)
          })
      )

    it.effect("pauses are listed oldest first; a second pause of the same scope replaces the first", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const start = yield* DateTime.now
        const shared = { reason: "bank down", by: "ann", resumeAt: null }
        yield* pause({ type: "a", group: null })
        yield* advance("1 second")
        yield* pause(everything)
        yield* advance("1 second")
        const resumeAt = DateTime.add(start, { seconds: 60 })
        yield* stores.control.pause({ type: "a", group: null, reason: "still down", resumeAt })
        yield* pause({ type: "a", group: "g" })
        assert.deepStrictEqual(yield* stores.control.pauses, [
          { type: "a", group: null, reason: "still down", by: null, since: start, resumeAt },
          { ...everything, ...shared, since: DateTime.add(start, { seconds: 1 }) },
          { type: "a", group: "g", ...shared, since: DateTime.add(start, { seconds: 2 }) }
        ])
        yield* advance("1 minute")
        // The first pause of type `a` has ended, so this is a new one.
        yield* pause({ type: "a", group: null })
        const since = DateTime.add(start, { seconds: 62 })
        assert.deepStrictEqual((yield* stores.control.pauses).at(-1), {
          type: "a",
          group: null,
          ...shared,
          since
        })
      })
    )

    for (const [first, second] of [
      [null, 5],
      [60, 5],
      [1, 5]
    ] as const)
      it.effect(
        `a pause ${first === null ? "without end" : `of ${first} seconds`} that is replaced by one of ${second} seconds ends after those`,
        () =>
          Effect.gen(function* () {
            const stores = yield* fresh
            yield* stores.intake.submit([named("a", { type: "a" }), named("b", { type: "a", group: "g" })])
            yield* pause({ type: "a", group: null }, first)
            assert.deepStrictEqual(yield* claimNames(), [])
            yield* pause({ type: "a", group: null }, second)
            assert.deepStrictEqual(yield* claimNames(), [])
            yield* advance("4999 millis")
            assert.deepStrictEqual(yield* claimNames(), [])
            yield* advance("1 millis")
            assert.deepStrictEqual(yield* claimNames(), ["a", "b"])
          })
      )

    it.effect("an order that is paused holds back the later ones of its key", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const orderingKey = "paused"
        yield* stores.intake.submit([
          named("first", { orderingKey, group: "paused" }),
          named("second", { orderingKey })
        ])
        yield* pause({ type: null, group: "paused" })
        assert.deepStrictEqual(yield* claimNames(), [])
        yield* resume({ type: null, group: "paused" })
        assert.deepStrictEqual(yield* claimNames(), ["first"])
      })
    )
  })
}
