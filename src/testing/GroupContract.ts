import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import { type GroupLimits, noLimits } from "../domain/Groups.ts"
import { allStores } from "./AllStores.ts"
import { newOrder } from "./NewOrders.ts"
import { completed, named, namesOf, retried, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What every implementation of `WorkStore` must do with groups and their limits. */
export const groupContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`WorkStore: groups on ${name}`, (it) => {
    const { advance, claim, claimNames, fresh, settle } = storeScenario(setStoreClock)

    /** Submits `count` orders of the group, with names `group0`, `group1`, ..., each due a millisecond later. */
    const submit = Effect.fnUntraced(function* (group: string | null, count: number, priority = 0) {
      const { intake } = yield* allStores
      for (let n = 0; n < count; n++) {
        yield* intake.submit([named(`${group}${n}`, { group, priority, type: n % 2 === 0 ? "a" : "b" })])
        yield* advance("1 millis")
      }
    })
    const setLimits = (group: string, limits: Partial<GroupLimits>) =>
      Effect.flatMap(allStores, ({ control }) => control.setGroupLimits(group, { ...noLimits, ...limits }))

    it.effect(
      "the groups of a priority take turns, one order each; orders without a group are one group",
      () =>
        Effect.gen(function* () {
          yield* fresh
          yield* submit("b", 4)
          yield* submit(null, 2)
          yield* submit("a", 1)
          yield* submit("c", 2)
          assert.deepStrictEqual(
            yield* claimNames(),
            [
              ["null0", "a0", "b0", "c0"],
              ["null1", "b1", "c1"],
              ["b2", "b3"]
            ].flat()
          )
        })
    )

    it.effect("a claim continues with the group after the one that the last claim served last", () =>
      Effect.gen(function* () {
        yield* fresh
        yield* submit("a", 3)
        yield* submit("b", 3)
        yield* submit("c", 3)
        const first = yield* claim({ max: 2 })
        assert.deepStrictEqual(namesOf(first.orders), ["a0", "b0"])
        const second = yield* claim({ max: 2, turns: first.turns })
        assert.deepStrictEqual(namesOf(second.orders), ["c0", "a1"])
        const third = yield* claim({ max: 3, turns: second.turns })
        assert.deepStrictEqual(namesOf(third.orders), ["b1", "c1", "a2"])
        assert.deepStrictEqual([first.turns, second.turns, third.turns], [{ 0: "b" }, { 0: "a" }, { 0: "a" }])
        const none = yield* claim({ max: 0, turns: { ...third.turns, 7: null } })
        assert.deepStrictEqual(none.turns, { 0: "a", 7: null })
        // The group served last may no longer exist, and after the last name the first group is next.
        assert.deepStrictEqual(yield* claimNames({ max: 1, turns: { 0: "bb" } }), ["c2"])
        assert.deepStrictEqual(yield* claimNames({ max: 1, turns: { 0: "z" } }), ["b2"])
      })
    )

    it.effect("a higher priority comes first over all groups, and each priority has its own turns", () =>
      Effect.gen(function* () {
        yield* fresh
        yield* submit("a", 2, 3)
        yield* submit("b", 2, 3)
        yield* submit("b", 2, 9)
        yield* submit("c", 2, 9)
        const first = yield* claim({ max: 3 })
        assert.deepStrictEqual(
          first.orders.map(({ group, priority }) => [group, priority]),
          [
            ["b", 9],
            ["c", 9],
            ["b", 9]
          ]
        )
        const { orders, turns } = yield* claim({ max: 4, turns: first.turns })
        assert.deepStrictEqual(
          orders.map(({ group, priority }) => [group, priority]),
          [
            ["c", 9],
            ["a", 3],
            ["b", 3],
            ["a", 3]
          ]
        )
        assert.deepStrictEqual(turns, { 9: "c", 3: "a" })
      })
    )

    it.effect("groups take turns in the sequence of their names by code point", () =>
      Effect.gen(function* () {
        yield* fresh
        const groups = ["😀", "\u{fffd}", "é", "a", "Z", "A b", "_", "a.b", "ab"]
        for (const group of groups) yield* submit(group, 1)
        const codePoints = (text: string) => Array.from(text, (each) => each.codePointAt(0) ?? 0)
        const sorted = [...groups].sort((a, b) => {
          const [left, right] = [codePoints(a), codePoints(b)]
          const n = left.findIndex((each, n) => each !== right[n])
          return n === -1 ? left.length - right.length : (left[n] ?? 0) - (right[n] ?? -1)
        })
        assert.deepStrictEqual(
          yield* claimNames(),
          sorted.map((group) => `${group}0`)
        )
      })
    )

    it.effect("a group never has more attempts running than its limit, over all workers and types", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* setLimits("small", { maxRunning: 2 })
        yield* submit("small", 5)
        yield* submit("large", 3)
        assert.deepStrictEqual(yield* claimNames({ max: 3 }), ["large0", "small0", "large1"])
        assert.deepStrictEqual(yield* claimNames({ worker: "w2" }), ["large2", "small1"])
        const full = yield* claim({ worker: "w3" })
        assert.deepStrictEqual([full.orders, full.nextDueIn], [[], null])
        const running = yield* stores.reads.list({ limit: 50, after: null }, { group: "small" })
        const [one, two] = yield* Effect.forEach(
          running.entries.filter(({ status }) => status === "PROCESSING"),
          ({ id }) => stores.reads.find(id)
        )
        assert(one?.status === "PROCESSING" && two?.status === "PROCESSING")
        // An attempt makes room for another one, however it ends.
        yield* settle([one], retried(60_000))
        assert.deepStrictEqual(yield* claimNames(), ["small2"])
        yield* settle([two], completed)
        assert.deepStrictEqual(yield* claimNames(), ["small3"])
        yield* advance("1 minute")
        yield* stores.work.expire(10)
        const again = yield* claim()
        assert.strictEqual(again.orders.filter(({ group }) => group === "small").length, 2)
        yield* settle(again.orders, completed)
        assert.strictEqual((yield* claim()).orders.filter(({ group }) => group === "small").length, 2)
      })
    )

    it.effect("an order of a full group that becomes due is no reason to claim at that time", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* setLimits("full", { maxRunning: 1 })
        const inSeconds = (seconds: number) =>
          Effect.map(DateTime.now, (now) => DateTime.add(now, { seconds }))
        yield* submit("full", 1)
        yield* stores.intake.submit([
          newOrder({ group: "full", notBefore: yield* inSeconds(5) }),
          newOrder({ group: "other", notBefore: yield* inSeconds(9) })
        ])
        const { nextDueIn, orders } = yield* claim()
        assert.deepStrictEqual([namesOf(orders), nextDueIn], [["full0"], Duration.seconds(9)])
        yield* settle(orders, completed)
        assert.deepStrictEqual((yield* claim()).nextDueIn, Duration.seconds(5))
      })
    )

    it.effect("limits set at run time hold from the next claim on, until they are deleted", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* submit("g", 8)
        assert.deepStrictEqual(yield* claimNames({ max: 3 }), ["g0", "g1", "g2"])
        yield* setLimits("g", { maxRunning: 2 })
        assert.deepStrictEqual(yield* claimNames(), [], "three are still running")
        yield* setLimits("g", { maxRunning: 4 })
        assert.deepStrictEqual(yield* claimNames(), ["g3"])
        assert.isTrue(yield* stores.control.deleteGroupLimits("g"))
        assert.isFalse(yield* stores.control.deleteGroupLimits("g"))
        assert.deepStrictEqual(yield* claimNames({ max: 3 }), ["g4", "g5", "g6"])
        yield* setLimits("g", { maxRunning: 1 })
        assert.deepStrictEqual(yield* claimNames(), [])
      })
    )

    it.effect("a group starts a burst of its rate at once, and then its rate", () =>
      Effect.gen(function* () {
        yield* fresh
        yield* setLimits("two a second", { ratePerSecond: 2 })
        yield* submit("two a second", 8)
        const first = yield* claim()
        assert.strictEqual(first.orders.length, 2)
        assert.deepStrictEqual(first.nextDueIn, Duration.millis(500))
        yield* advance("499 millis")
        const early = yield* claim()
        assert.deepStrictEqual([early.orders, early.nextDueIn], [[], Duration.millis(1)])
        yield* advance("1 millis")
        assert.strictEqual((yield* claimNames({ worker: "w2" })).length, 1, "for all workers together")
        yield* advance("1 hour")
        assert.strictEqual((yield* claimNames()).length, 2, "no more than a burst after a pause")
      })
    )

    it.effect("a group with less than one start per second starts one at once", () =>
      Effect.gen(function* () {
        yield* fresh
        yield* setLimits("slow", { ratePerSecond: 0.1 })
        yield* submit("slow", 3)
        const first = yield* claim()
        assert.deepStrictEqual(namesOf(first.orders), ["slow0"])
        // A start uses up the rate even if the attempt is released.
        yield* settle(first.orders, { event: "released", detail: "stopped" })
        assert.deepStrictEqual((yield* claim()).nextDueIn, Duration.seconds(10))
        yield* advance("10 seconds")
        assert.deepStrictEqual(yield* claimNames(), ["slow0"])
      })
    )

    it.effect("a changed rate keeps the tokens of the group, up to the new burst", () =>
      Effect.gen(function* () {
        yield* fresh
        yield* setLimits("changed", { ratePerSecond: 8 })
        yield* submit("changed", 9)
        assert.strictEqual((yield* claimNames({ max: 2 })).length, 2)
        yield* setLimits("changed", { ratePerSecond: 4 })
        assert.strictEqual((yield* claimNames()).length, 4)
        yield* setLimits("changed", { ratePerSecond: 8 })
        assert.deepStrictEqual(yield* claimNames(), [])
      })
    )

    it.effect(
      "default limits hold for groups that have none, field by field, and never without a group",
      () =>
        Effect.gen(function* () {
          yield* fresh
          const defaultLimits = { ...noLimits, maxRunning: 1, ratePerSecond: 2 }
          yield* setLimits("own", { maxRunning: 2 })
          yield* setLimits("rate only", { ratePerSecond: 5 })
          for (const group of ["own", "rate only", "none", null]) yield* submit(group, 3)
          const { orders } = yield* claim({ defaultLimits })
          assert.sameMembers(
            [...namesOf(orders)],
            ["null0", "null1", "null2", "none0", "own0", "own1", "rate only0"]
          )
          yield* settle(orders, completed)
          assert.sameMembers([...(yield* claimNames({ defaultLimits }))], ["none1", "rate only1"])
          // The default rate applies to a group whose limits have no rate: `own` has started two orders at once.
          yield* advance("500 millis")
          assert.sameMembers([...(yield* claimNames({ defaultLimits }))], ["own2"])
        })
    )

    it.effect("a group at its limit does not hold up lower priorities or other groups", () =>
      Effect.gen(function* () {
        yield* fresh
        yield* setLimits("full", { maxRunning: 1 })
        yield* submit("full", 3, 9)
        yield* submit("other", 1, 9)
        yield* submit("low", 1)
        assert.deepStrictEqual(yield* claimNames(), ["full0", "other0", "low0"])
      })
    )

    it.effect("concurrent claims never exceed a limit together", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* setLimits("running", { maxRunning: 3 })
        yield* setLimits("rate", { ratePerSecond: 4 })
        const groups = ["running", "rate"]
        yield* stores.intake.submit(
          groups.flatMap((group) => Array.from({ length: 20 }, () => newOrder({ group })))
        )
        const counts = new Map<string | null, number>()
        for (let round = 0; round < 10; round++) {
          const claims = yield* Effect.forEach(
            ["w1", "w2", "w3", "w4", "w5"],
            (worker) => claim({ worker, max: 4 }),
            { concurrency: "unbounded" }
          )
          for (const { group } of claims.flatMap(({ orders }) => orders))
            counts.set(group, (counts.get(group) ?? 0) + 1)
        }
        assert.deepStrictEqual(
          groups.map((group) => counts.get(group)),
          [3, 4]
        )
      })
    )

    it.effect("the groups with limits of their own are listed by name, in pages", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        for (const [n, group] of ["c", "a", "b"].entries())
          yield* setLimits(group, { maxRunning: n + 1, ratePerSecond: 0.5, maxPending: n === 2 ? null : 7 })
        const first = yield* stores.control.groups({ limit: 2, after: null })
        assert.deepStrictEqual(first, [
          { group: "a", maxRunning: 2, ratePerSecond: 0.5, maxPending: 7 },
          { group: "b", maxRunning: 3, ratePerSecond: 0.5, maxPending: null }
        ])
        assert.deepStrictEqual(yield* stores.control.groups({ limit: 2, after: "b" }), [
          { group: "c", maxRunning: 1, ratePerSecond: 0.5, maxPending: 7 }
        ])
        yield* setLimits("c", {})
        assert.deepStrictEqual(yield* stores.control.groups({ limit: 2, after: "b" }), [
          { group: "c", ...noLimits }
        ])
      })
    )

    it.effect("the PENDING orders of groups are counted up to their limits", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* setLimits("own", { maxPending: 1 })
        yield* setLimits("others", { maxRunning: 5 })
        yield* stores.intake.submit([
          ...["own", "own", "own", "others", "others"].map((group) => newOrder({ group })),
          // Orders that wait behind their key are PENDING too.
          ...["keys", "keys", "keys"].map((group) => newOrder({ group, orderingKey: "pending" })),
          newOrder()
        ])
        const count = (defaultMax: number | null) =>
          Effect.map(
            stores.intake.countPendingOfGroups(["own", "others", "keys", "none"], defaultMax),
            (counts) => counts.map(({ group, maxPending, pending }) => [group, pending, maxPending])
          )
        assert.sameDeepMembers(yield* count(null), [["own", 2, 1]])
        assert.sameDeepMembers(yield* count(2), [
          ["own", 2, 1],
          ["others", 2, 2],
          ["keys", 3, 2],
          ["none", 0, 2]
        ])
        yield* claim()
        assert.sameDeepMembers(yield* count(2), [
          ["own", 0, 1],
          ["others", 0, 2],
          ["keys", 2, 2],
          ["none", 0, 2]
        ])
      })
    )
  })
}
