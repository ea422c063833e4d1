import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import { failure, type ReasonCode } from "../domain/Failure.ts"
import { type FailureGroup, type FailureGroupPosition, maxGroupsOfType } from "../domain/FailureGroup.ts"
import type { Outcome } from "../domain/Order.ts"
import type { OrderId } from "../domain/OrderId.ts"
import type { WorkerReport } from "../domain/Workers.ts"
import { allStores } from "./AllStores.ts"
import { newOrder } from "./NewOrders.ts"
import { completed, failed, lease, retried, type StoreContract, storeScenario } from "./StoreScenario.ts"

const report: WorkerReport = {
  host: "host-1",
  version: "",
  role: "worker",
  types: null,
  capacity: 100,
  inFlight: 0,
  draining: false,
  breakers: []
}

const failedWith = (reason: string, reasonCode: ReasonCode = "PROCESSING_FAILED"): Outcome => ({
  event: "failed",
  failure: failure(reasonCode, reason)
})

/** A text of letters a to z for each number, so that each makes a group of its own. */
const word = (n: number): string =>
  Array.from(String(n), (digit) => String.fromCharCode(103 + Number(digit))).join("")

/** What every `DeadLetterStore` and `UpkeepStore` must do with failure groups. Each test uses types of its own. */
export const failureGroupContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`DeadLetterStore: failure groups on ${name}`, (it) => {
    const { advance, claimOne, fresh } = storeScenario(setStoreClock)

    /** Submits an order of this type for each outcome, and settles them together; returns their ids. */
    const settleAll = Effect.fnUntraced(function* (
      type: string,
      outcomes: ReadonlyArray<Outcome>,
      worker = "w1"
    ) {
      const { intake, work } = yield* allStores
      yield* intake.submit(outcomes.map(() => newOrder({ type })))
      const { orders } = yield* work.claim({ worker, lease, max: outcomes.length, types: [type] })
      assert.strictEqual(orders.length, outcomes.length)
      yield* work.settle(orders.map((order, n) => ({ order, outcome: outcomes[n] ?? completed })))
      return orders.map(({ id }) => id)
    })
    const fail = (type: string, reason: string, worker?: string) =>
      Effect.map(settleAll(type, [failedWith(reason)], worker), ([id]) => id as OrderId)

    /** The groups of these types that have entries, from pages of this size. */
    const groupsOf = Effect.fnUntraced(function* (type: string, limit = 1000) {
      const { deadLetters } = yield* allStores
      const found: Array<FailureGroup> = []
      let after: FailureGroupPosition | null = null
      do {
        const page: ReadonlyArray<FailureGroup> = yield* deadLetters.failureGroups({ limit, after })
        assert.isAtMost(page.length, limit)
        found.push(...page)
        after = page.at(-1) ?? null
      } while (after !== null)
      return found.filter((group) => group.type.startsWith(type))
    })
    const onlyGroupOf = (type: string) =>
      Effect.map(groupsOf(type), (groups) => {
        assert.strictEqual(groups.length, 1)
        return groups[0] as FailureGroup
      })
    const countsOf = (type: string) =>
      Effect.map(groupsOf(type), (groups) =>
        Object.fromEntries(groups.map(({ count, message }) => [message, count]))
      )
    const stateOf = (type: string) => Effect.map(onlyGroupOf(type), ({ state }) => state)

    /** Registers a worker of this version now. */
    const register = Effect.fnUntraced(function* (worker: string, version = "") {
      const { work } = yield* allStores
      yield* work.renew(worker, Duration.hours(1), { ...report, version })
    })

    it.effect(
      "dead letters of the same type, code and message form a group, whatever ids, numbers and quoted parts they have",
      () =>
        Effect.gen(function* () {
          const { deadLetters } = yield* fresh
          const start = yield* DateTime.now
          const reasons = [
            'card 4711 of "ann" declined',
            "card 01a20586-1e1c-764a-aee9-11cfc7017fe9 of 'bob' declined",
            'card 0xdeadBEEF of "" declined'
          ]
          const ids: Array<OrderId> = []
          for (const reason of reasons) {
            ids.push(yield* fail("refund", reason))
            yield* advance("1 second")
          }
          yield* settleAll("refund", [failedWith(reasons[0] ?? "", "TIMEOUT")])
          yield* fail("refund", 'card 4711 of "ann" lost')
          yield* fail("refund-a", reasons[0] ?? "")
          const common = { type: "refund", state: "new", versions: [], count: 1 }
          const groups = yield* groupsOf("refund")
          assert.deepStrictEqual(groups[0], {
            ...common,
            fingerprint: "7552c550da5231b3",
            reasonCode: "PROCESSING_FAILED",
            message: 'card # of "…" declined',
            count: 3,
            firstSeen: start,
            lastSeen: DateTime.add(start, { seconds: 2 }),
            sampleOrderId: ids[2] as OrderId
          } as FailureGroup)
          // Those of the same count by fingerprint.
          assert.deepStrictEqual(
            groups.slice(1).map(({ fingerprint, message, reasonCode, type }) => ({
              fingerprint,
              type,
              reasonCode,
              message
            })),
            [
              ["1f9188bc4ee6f28f", "refund", "PROCESSING_FAILED", 'card # of "…" lost'] as const,
              ["7972840ec6590321", "refund", "TIMEOUT", 'card # of "…" declined'] as const,
              ["ca53fcd0e09413ab", "refund-a", "PROCESSING_FAILED", 'card # of "…" declined'] as const
            ].map(([fingerprint, type, reasonCode, message]) => ({ fingerprint, type, reasonCode, message }))
          )
          const filter = { fingerprint: "7552c550da5231b3" }
          const { entries } = yield* deadLetters.list({ limit: 10, after: null }, filter)
          assert.deepStrictEqual(
            entries.map(({ fingerprint, orderId }) => [fingerprint, orderId]),
            ids.toReversed().map((id) => ["7552c550da5231b3", id])
          )
          const both = { ...filter, reasonCode: "TIMEOUT" } as const
          assert.deepStrictEqual((yield* deadLetters.list({ limit: 10, after: null }, both)).entries, [])
        })
    )

    it.effect("the count of a group is the number of its entries, whatever adds or removes them", () =>
      Effect.gen(function* () {
        const { control, deadLetters, intake, upkeep, work } = yield* fresh
        const type = "counted"
        const outcomes = [failedWith("a"), failedWith("b"), failedWith("a"), completed, retried(1000)]
        const ids = yield* settleAll(type, outcomes)
        assert.deepStrictEqual(yield* countsOf(type), { a: 2, b: 1 })
        const [first, second] = ids as [OrderId, OrderId]
        yield* deadLetters.reprocess(first)
        assert.deepStrictEqual(yield* countsOf(type), { a: 1, b: 1 })
        const again = yield* claimOne()
        // A stale settle and a repeated one add nothing; nor does a failure after a cancel was requested.
        const settlement = { order: again, outcome: failedWith("a") }
        yield* work.settle([{ ...settlement, order: { ...again, version: again.version - 1 } }])
        assert.deepStrictEqual(yield* countsOf(type), { a: 1, b: 1 })
        yield* work.settle([settlement])
        assert.deepStrictEqual(yield* work.settle([settlement]), ["repeated"])
        assert.deepStrictEqual(yield* countsOf(type), { a: 2, b: 1 })
        yield* intake.submit([newOrder({ type })])
        const cancelled = yield* claimOne()
        yield* control.cancel(cancelled.id, { reason: "changed my mind" })
        yield* work.settle([{ order: cancelled, outcome: failedWith("a") }])
        assert.deepStrictEqual(yield* countsOf(type), { a: 2, b: 1 })

        yield* deadLetters.discard(second)
        assert.deepStrictEqual(yield* countsOf(type), { a: 2 })
        yield* intake.submit([newOrder({ type, maxRetries: 1 }), newOrder({ type, maxRetries: 1 })])
        yield* work.claim({ worker: "lost", lease, max: 2, types: [type] })
        yield* advance(lease)
        assert.strictEqual((yield* work.expire(1000)).length, 2)
        const lost = "The worker was lost: its lease ran out before the attempt ended."
        assert.deepStrictEqual(yield* countsOf(type), { a: 2, [lost]: 2 })

        yield* intake.submit([newOrder({ type })])
        const order = yield* claimOne()
        yield* work.settleWithWrites({ order, outcome: failedWith("a") }, Effect.void)
        assert.deepStrictEqual(yield* countsOf(type), { a: 3, [lost]: 2 })
        yield* advance("1 millis")
        yield* upkeep.deleteOldOrders("FAILED", Duration.zero, 10_000)
        assert.deepStrictEqual(yield* countsOf(type), {})
        yield* fail(type, "a")
        assert.deepStrictEqual(yield* countsOf(type), { a: 1 })
      })
    )

    it.effect("groups are listed by count, the largest first, in pages of any size", () =>
      Effect.gen(function* () {
        const { deadLetters } = yield* fresh
        const type = "pages"
        const sizes = [3, 1, 2, 1, 3, 1]
        yield* settleAll(
          type,
          sizes.flatMap((size, n) => Array.from({ length: size }, () => failedWith(word(n))))
        )
        const all = yield* groupsOf(type)
        assert.deepStrictEqual(
          all.map(({ count }) => count),
          [3, 3, 2, 1, 1, 1]
        )
        assert.deepStrictEqual(
          all,
          [...all].sort((a, b) => b.count - a.count || (a.fingerprint < b.fingerprint ? -1 : 1))
        )
        for (const limit of [1, 2, 5]) assert.deepStrictEqual(yield* groupsOf(type, limit), all)
        const first = (yield* deadLetters.list({ limit: 1, after: null })).entries[0]
        assert.isTrue(all.some(({ fingerprint }) => fingerprint === first?.fingerprint))
      })
    )

    it.effect("a group is new for a day after its first entry, and then known", () =>
      Effect.gen(function* () {
        yield* fresh
        yield* fail("aging", "a")
        yield* advance(Duration.millis(24 * 3_600_000 - 1))
        yield* fail("aging", "a")
        assert.strictEqual(yield* stateOf("aging"), "new")
        yield* advance("1 millis")
        assert.strictEqual(yield* stateOf("aging"), "known")
      })
    )

    it.effect(
      "a fixed group regresses with the next entry of a worker that was registered after the mark, and not before",
      () =>
        Effect.gen(function* () {
          const { deadLetters } = yield* fresh
          const type = "fixed"
          yield* register("before")
          const id = yield* fail(type, "a", "before")
          const { fingerprint } = yield* onlyGroupOf(type)
          yield* register("at the mark")
          const marked = yield* deadLetters.markFixed(fingerprint)
          assert.deepStrictEqual(marked, { ...(yield* onlyGroupOf(type)), state: "fixed" })
          assert.deepStrictEqual([marked.count, marked.sampleOrderId], [1, id])
          yield* advance("1 second")
          for (const worker of ["before", "at the mark"]) yield* fail(type, "a", worker)
          assert.strictEqual(yield* stateOf(type), "fixed")
          yield* register("after")
          assert.strictEqual(yield* stateOf(type), "fixed")
          yield* fail(type, "a", "after")
          assert.strictEqual(yield* stateOf(type), "regressed")
          yield* fail(type, "a", "before")
          assert.strictEqual(yield* stateOf(type), "regressed")
          assert.strictEqual((yield* deadLetters.markFixed(fingerprint)).state, "fixed")
          yield* fail(type, "a", "after")
          assert.strictEqual(yield* stateOf(type), "fixed")
        })
    )

    it.effect(
      "a group that is fixed in a version regresses only with an entry of a worker of that version",
      () =>
        Effect.gen(function* () {
          const { deadLetters } = yield* fresh
          const type = "version"
          yield* register("new version", "2")
          yield* fail(type, "a", "new version")
          const { fingerprint } = yield* onlyGroupOf(type)
          yield* deadLetters.markFixed(fingerprint, { version: "2" })
          yield* advance("1 second")
          yield* register("old version", "1")
          yield* fail(type, "a", "old version")
          yield* fail(type, "a", "of no version")
          assert.strictEqual(yield* stateOf(type), "fixed")
          yield* fail(type, "a", "new version")
          assert.strictEqual(yield* stateOf(type), "regressed")
        })
    )

    it.effect("a group without entries can be marked as fixed, and keeps its mark", () =>
      Effect.gen(function* () {
        const { deadLetters } = yield* fresh
        const type = "emptied"
        const id = yield* fail(type, "a")
        const { fingerprint } = yield* onlyGroupOf(type)
        yield* deadLetters.discard(id)
        const { count, sampleOrderId, state } = yield* deadLetters.markFixed(fingerprint)
        assert.deepStrictEqual([count, sampleOrderId, state], [0, null, "fixed"])
        assert.deepStrictEqual(yield* groupsOf(type), [])
        yield* advance("1 second")
        yield* fail(type, "a", "started later")
        assert.strictEqual(yield* stateOf(type), "regressed")
        const unknown = yield* Effect.flip(deadLetters.markFixed("0123456789abcdef"))
        assert.deepStrictEqual(
          [unknown._tag, "fingerprint" in unknown && unknown.fingerprint],
          ["FailureGroupNotFound", "0123456789abcdef"]
        )
      })
    )

    it.effect("a group has the last ten versions of its entries, the one seen last first", () =>
      Effect.gen(function* () {
        yield* fresh
        const type = "versions"
        const names = Array.from({ length: 12 }, (_, n) => `${n}`)
        for (const version of [...names, "5"]) {
          yield* register(`of ${version}`, version)
          yield* fail(type, "a", `of ${version}`)
        }
        const { versions } = yield* onlyGroupOf(type)
        assert.deepStrictEqual(versions, ["5", "11", "10", "9", "8", "7", "6", "4", "3", "2"])
      })
    )

    it.effect("failures beyond a thousand groups of a type are in its group other", () =>
      Effect.gen(function* () {
        const { deadLetters } = yield* fresh
        const type = "limited"
        yield* settleAll(
          type,
          Array.from({ length: maxGroupsOfType - 1 }, (_, n) => failedWith(word(n)))
        )
        // One more group fits.
        yield* settleAll(type, [failedWith("i"), failedWith("last"), failedWith("too late"), failed])
        yield* fail(type, "too late")
        yield* fail(type, "last")
        yield* fail("other-type", "too late")
        const groups = yield* groupsOf(type)
        assert.strictEqual(groups.length, maxGroupsOfType + 1)
        assert.deepStrictEqual(
          groups
            .slice(0, 3)
            .map(({ count, fingerprint, message, reasonCode }) => [count, fingerprint, message, reasonCode]),
          [
            [3, "4b43fffc5c9ee9ee", "other", null],
            ...groups
              .slice(1, 3)
              .map(({ fingerprint, message }) => [2, fingerprint, message, "PROCESSING_FAILED"])
          ]
        )
        assert.sameMembers(
          groups.slice(1, 3).map(({ message }) => message),
          ["i", "last"]
        )
        assert.deepStrictEqual(yield* countsOf("other-type"), { "too late": 1 })
        const { entries } = yield* deadLetters.list(
          { limit: 10, after: null },
          { fingerprint: "4b43fffc5c9ee9ee" }
        )
        assert.sameMembers(
          entries.map(({ reasonCode }) => reasonCode),
          ["PROCESSING_FAILED", "PERMANENT", "PROCESSING_FAILED"]
        )
      })
    )

    it.effect("groups without entries are deleted after 30 idle days, and no others", () =>
      Effect.gen(function* () {
        const { deadLetters, upkeep } = yield* fresh
        const type = "idle"
        // Deletes the groups that other tests emptied.
        yield* advance(Duration.days(31))
        yield* upkeep.deleteIdleFailureGroups(10_000)
        const marked = yield* fail(type, "marked")
        const { fingerprint } = yield* onlyGroupOf(type)
        const emptied = yield* settleAll(type, [failedWith("a"), failedWith("b")])
        yield* fail(type, "has an entry")
        for (const id of [marked, ...emptied]) yield* deadLetters.discard(id)
        const isKnown = (of: string) =>
          Effect.map(Effect.result(deadLetters.markFixed(of)), ({ _tag }) => _tag === "Success")
        yield* advance(Duration.millis(30 * 24 * 3_600_000 - 1))
        assert.strictEqual(yield* upkeep.deleteIdleFailureGroups(10_000), 0)
        assert.isTrue(yield* isKnown(fingerprint))
        yield* advance("1 millis")
        assert.deepStrictEqual(
          yield* Effect.forEach([1, 10, 10], (max) => upkeep.deleteIdleFailureGroups(max)),
          [1, 1, 0]
        )
        assert.isTrue(yield* isKnown(fingerprint))
        assert.deepStrictEqual(yield* countsOf(type), { "has an entry": 1 })
        yield* advance(Duration.days(30))
        assert.strictEqual(yield* upkeep.deleteIdleFailureGroups(10_000), 1)
        assert.isFalse(yield* isKnown(fingerprint))
      })
    )
  })
}
