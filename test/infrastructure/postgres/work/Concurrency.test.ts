import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { failure } from "../../../../src/domain/Failure.ts"
import { maxGroupsOfType } from "../../../../src/domain/FailureGroup.ts"
import { noLimits } from "../../../../src/domain/Groups.ts"
import type { Outcome } from "../../../../src/domain/Order.ts"
import { DatabaseSchema } from "../../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import * as Postgres from "../../../../src/infrastructure/postgres/Postgres.ts"
import { allStores } from "../../../../src/testing/AllStores.ts"
import {
  completed,
  failed,
  lease,
  named,
  namesOf,
  retried,
  storeScenario
} from "../../../../src/testing/StoreScenario.ts"
import { eventually } from "../../../processes/OrderPlatformProcess.ts"
import * as TestPostgres from "../../../TestPostgres.ts"

// How two transactions affect each other. Each test fixes their sequence: one transaction stays open until the other
// one has finished, or waits for its lock.

const stores = Layer.suspend(() =>
  Postgres.layerStores.pipe(Layer.provideMerge(TestPostgres.ownSchema({ maxConnections: 12 })))
)
const { claim, claimNames, claimOne, settle } = storeScenario(() => Effect.void)
const reason = "ordered twice"

/** A claim without room for an order: it only turns the checks of new orders into lanes. */
const lookForOrders = Effect.map(claimNames({ worker: "full", max: 0 }), (names) =>
  assert.deepStrictEqual(names, [])
)

/** Runs the effect in a transaction that stays open until `commit`; it is rolled back if the test fails before. */
const inOpenTransaction = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const sql = yield* SqlClient.SqlClient
  const [done, mayCommit] = [yield* Deferred.make<A>(), yield* Deferred.make<void>()]
  const transaction = yield* effect.pipe(
    Effect.tap((result) => Deferred.succeed(done, result)),
    Effect.tap(() => Deferred.await(mayCommit)),
    sql.withTransaction,
    Effect.forkScoped
  )
  const result = yield* Effect.raceFirst(Deferred.await(done), Fiber.join(transaction))
  return { result, commit: Effect.andThen(Deferred.succeed(mayCommit, undefined), Fiber.join(transaction)) }
})

/** Waits until the statement of this fiber waits for a lock. */
const waitsForLock = Effect.fnUntraced(function* <A, E>(fiber: Fiber.Fiber<A, E>) {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* eventually(
    "a statement waits for a lock",
    Effect.gen(function* () {
      const waiting = yield* sql`SELECT FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND strpos(query, ${schema}) > 0 AND pid <> pg_backend_pid()`
      if (waiting.length > 0) return true
      assert.isUndefined(fiber.pollUnsafe(), "it did not wait")
    })
  )
})

describe("ordering keys and concurrent transactions on PostgreSQL", () => {
  it.live(
    "while a submit is not committed nothing of its key waits for it, and then its order runs in its turn",
    () =>
      Effect.gen(function* () {
        const { intake } = yield* allStores
        const orderingKey = "k"
        yield* intake.submit([named("head", { orderingKey })])
        const head = yield* claimOne()
        const late = yield* inOpenTransaction(intake.submit([named("late", { orderingKey })]))
        yield* settle([head], completed)
        assert.deepStrictEqual(yield* claimNames(), [])
        yield* intake.submit([named("later", { orderingKey })])
        const { orders } = yield* claim()
        assert.deepStrictEqual(namesOf(orders), ["later"])
        yield* late.commit
        assert.deepStrictEqual(yield* claimNames(), [], "another order of its key is running")
        yield* settle(orders, completed)
        assert.deepStrictEqual(yield* claimNames(), ["late"])
      }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("a submit that commits after a claim has looked at its key is found by the next claim", () =>
    Effect.gen(function* () {
      const { intake } = yield* allStores
      const orderingKey = "k"
      yield* intake.submit([named("head", { orderingKey })])
      const head = yield* claimOne()
      const late = yield* inOpenTransaction(intake.submit([named("late", { orderingKey })]))
      yield* settle([head], completed)
      assert.deepStrictEqual(yield* claimNames(), [])
      yield* late.commit
      assert.deepStrictEqual(yield* claimNames(), ["late"])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("an order of a key that a refused call had locked during a claim is found by the next claim", () =>
    Effect.gen(function* () {
      const { control, intake } = yield* allStores
      const order = named("only", { orderingKey: "k" })
      yield* intake.submit([order])
      const refused = yield* inOpenTransaction(Effect.flip(control.run(order.id)))
      assert.strictEqual(refused.result._tag, "OrderStateConflict")
      assert.deepStrictEqual(yield* claimNames(), [])
      yield* refused.commit
      assert.deepStrictEqual(yield* claimNames(), ["only"])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )
})

describe("lanes and concurrent transactions on PostgreSQL", () => {
  it.live("a submit that commits while a claim closes its lane is found by the next claim", () =>
    Effect.gen(function* () {
      const { intake } = yield* allStores
      yield* intake.submit([named("first", { type: "a" })])
      yield* lookForOrders
      const closing = yield* inOpenTransaction(claimNames())
      assert.deepStrictEqual(closing.result, ["first"])
      yield* intake.submit([named("second", { type: "a" })])
      yield* lookForOrders
      yield* closing.commit
      assert.deepStrictEqual(yield* claimNames({ worker: "w2" }), ["second"])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("an attempt that ends while a claim closes the lane of its full group makes room in it", () =>
    Effect.gen(function* () {
      const { control, intake } = yield* allStores
      const group = "g"
      yield* control.setGroupLimits(group, { ...noLimits, maxRunning: 1 })
      yield* intake.submit([named("first", { group })])
      const first = yield* claimOne()
      yield* intake.submit([named("second", { group })])
      const closing = yield* inOpenTransaction(claimNames())
      assert.deepStrictEqual(closing.result, [])
      yield* settle([first], completed)
      yield* lookForOrders
      yield* closing.commit
      assert.deepStrictEqual(yield* claimNames({ worker: "w2" }), ["second"])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("a resume waits for a claim that closes a lane because of the pause, and opens the lane", () =>
    Effect.gen(function* () {
      const { control, intake } = yield* allStores
      yield* control.pause({ type: "a", group: null, reason, resumeAt: null })
      yield* intake.submit([named("paused", { type: "a" })])
      const closing = yield* inOpenTransaction(claimNames())
      assert.deepStrictEqual(closing.result, [])
      const resuming = yield* Effect.forkScoped(control.resume({ type: "a", group: null }))
      yield* waitsForLock(resuming)
      yield* closing.commit
      yield* Fiber.join(resuming)
      assert.deepStrictEqual(yield* claimNames(), ["paused"])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("a claim closes no lane because of a pause whose resume is not committed", () =>
    Effect.gen(function* () {
      const { control, intake } = yield* allStores
      yield* control.pause({ type: "a", group: null, reason, resumeAt: null })
      const resuming = yield* inOpenTransaction(control.resume({ type: "a", group: null }))
      yield* intake.submit([named("paused", { type: "a" })])
      assert.deepStrictEqual(yield* claimNames(), [])
      yield* resuming.commit
      assert.deepStrictEqual(yield* claimNames(), ["paused"])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )
})

describe("limits of groups and concurrent claims on PostgreSQL", () => {
  it.live("a group whose start is not committed starts nothing else, and other groups do not wait", () =>
    Effect.gen(function* () {
      const { control, intake } = yield* allStores
      yield* control.setGroupLimits("small", { ...noLimits, maxRunning: 1 })
      yield* intake.submit([named("1", { group: "small" }), named("2", { group: "small" })])
      yield* lookForOrders
      const starting = yield* inOpenTransaction(claim())
      assert.strictEqual(starting.result.orders.length, 1)
      yield* intake.submit([named("other", { group: "other" })])
      const second = yield* claim({ worker: "w2" })
      assert.deepStrictEqual(namesOf(second.orders), ["other"])
      assert.isTrue(second.isIncomplete)
      yield* starting.commit
      assert.deepStrictEqual(yield* claimNames({ worker: "w2" }), [])
      yield* settle(starting.result.orders, completed)
      assert.strictEqual((yield* claimNames({ worker: "w2" })).length, 1)
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("eight workers never exceed a group's limit together, and all its orders run", () =>
    Effect.gen(function* () {
      const { control, intake, reads } = yield* allStores
      const group = "small"
      const [total, maxRunning] = [60, 3]
      yield* control.setGroupLimits(group, { ...noLimits, maxRunning })
      yield* intake.submit(Array.from({ length: total }, (_, n) => named(`${n}`, { group })))
      let started = 0
      const work = Effect.fnUntraced(function* (worker: string) {
        while (started < total) {
          const { orders } = yield* claim({ worker, max: 2 })
          started += orders.length
          yield* settle(orders, completed)
        }
      })
      yield* Effect.forEach(
        Array.from({ length: 8 }, (_, n) => `w${n}`),
        work,
        { concurrency: "unbounded" }
      )
      assert.strictEqual(started, total)
      // By the record: starts and ends in the sequence of their times, an end before a start at the same time.
      const { entries } = yield* reads.list({ limit: 100, after: null }, { group })
      const timelines = yield* Effect.forEach(entries, ({ id }) => reads.timeline(id))
      const changes = timelines
        .flat()
        .filter(({ event }) => event !== "created")
        .map(({ at, event }) => [at.epochMilliseconds, event === "started" ? 1 : -1] as const)
        .sort(([at, change], [otherAt, otherChange]) => at - otherAt || change - otherChange)
      assert.strictEqual(changes.length, 2 * total)
      let running = 0
      for (const [, change] of changes) {
        running += change
        assert.isAtMost(running, maxRunning)
      }
    }).pipe(Effect.scoped, Effect.provide(stores))
  )
})

describe("a cancel and a settle at the same time on PostgreSQL", () => {
  const outcomes: ReadonlyArray<Outcome> = [failed, retried(0), { event: "released", detail: "stopped" }]
  for (const outcome of outcomes)
    it.live(`a settle as ${outcome.event} that waits for a cancel stores that the order was cancelled`, () =>
      Effect.gen(function* () {
        const { control, deadLetters, intake, reads, work } = yield* allStores
        yield* intake.submit([named("order")])
        const order = yield* claimOne()
        const cancelling = yield* inOpenTransaction(control.cancel(order.id, { reason }))
        const settling = yield* Effect.forkScoped(work.settle([{ order, outcome }]))
        yield* waitsForLock(settling)
        yield* cancelling.commit
        assert.notDeepEqual(yield* Fiber.join(settling), ["stale"])
        const { failureReason, reasonCode, status } = yield* reads.find(order.id)
        assert.deepStrictEqual([status, reasonCode, failureReason], ["FAILED", "CANCELLED", reason])
        assert.isTrue(Exit.isFailure(yield* Effect.exit(deadLetters.find(order.id))))
        assert.deepStrictEqual(yield* claimNames(), [])
      }).pipe(Effect.scoped, Effect.provide(stores))
    )

  it.live("a cancel that waits for a settle answers that it came too late", () =>
    Effect.gen(function* () {
      const { control, intake, reads, work } = yield* allStores
      yield* intake.submit([named("order")])
      const order = yield* claimOne()
      const settling = yield* inOpenTransaction(work.settle([{ order, outcome: completed }]))
      assert.deepStrictEqual(settling.result, ["settled"])
      const cancelling = yield* Effect.forkScoped(Effect.flip(control.cancel(order.id, { reason })))
      yield* waitsForLock(cancelling)
      yield* settling.commit
      assert.strictEqual((yield* Fiber.join(cancelling))._tag, "OrderStateConflict")
      assert.strictEqual((yield* reads.find(order.id)).status, "PROCESSED")
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("a cancel that waits for the retry of its order cancels the order that waits for its time", () =>
    Effect.gen(function* () {
      const { control, intake, reads, work } = yield* allStores
      yield* intake.submit([named("order")])
      const order = yield* claimOne()
      const outcome = retried(60_000)
      const settling = yield* inOpenTransaction(work.settle([{ order, outcome }]))
      const cancelling = yield* Effect.forkScoped(control.cancel(order.id, { reason }))
      yield* waitsForLock(cancelling)
      yield* settling.commit
      assert.strictEqual((yield* Fiber.join(cancelling)).status, "FAILED")
      const found = yield* reads.find(order.id)
      assert.deepStrictEqual([found.status, found.reasonCode, found.retryCount], ["FAILED", "CANCELLED", 1])
      assert.deepStrictEqual(yield* work.renew("w1", lease), [])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )
})

describe("workers and concurrent transactions on PostgreSQL", () => {
  it.live("a claim that waits for the first heartbeat of its worker is not refused", () =>
    Effect.gen(function* () {
      const { intake, work } = yield* allStores
      yield* intake.submit([named("order")])
      const renewing = yield* inOpenTransaction(work.renew("new", lease))
      const claiming = yield* Effect.forkScoped(claimNames({ worker: "new" }))
      yield* waitsForLock(claiming)
      yield* renewing.commit
      assert.deepStrictEqual(yield* Fiber.join(claiming), ["order"])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("a worker whose claim is not committed yet is not removed, so that its orders expire", () =>
    Effect.gen(function* () {
      const { control, intake, work } = yield* allStores
      yield* work.renew("leaving", lease)
      yield* intake.submit([named("order")])
      const claiming = yield* inOpenTransaction(claimNames({ worker: "leaving" }))
      const leaving = yield* Effect.forkScoped(work.deregister("leaving"))
      yield* waitsForLock(leaving)
      yield* claiming.commit
      yield* Fiber.join(leaving)
      assert.include(
        (yield* control.workers).map(({ id }) => id),
        "leaving"
      )
    }).pipe(Effect.scoped, Effect.provide(stores))
  )
})

describe("failure groups and concurrent transactions on PostgreSQL", () => {
  const failedWith = (text: string): Outcome => ({
    event: "failed",
    failure: failure("PROCESSING_FAILED", text)
  })
  /** Submits and starts an order for each reason; the returned effect settles them together. */
  const failing = Effect.fnUntraced(function* (reasons: ReadonlyArray<string>) {
    const { intake, work } = yield* allStores
    yield* intake.submit(reasons.map(() => named("failing")))
    const { orders } = yield* claim({ max: reasons.length })
    assert.strictEqual(orders.length, reasons.length)
    return work.settle(orders.map((order, n) => ({ order, outcome: failedWith(reasons[n] ?? "") })))
  })
  const groups = Effect.flatMap(allStores, ({ deadLetters }) =>
    deadLetters.failureGroups({ limit: 2000, after: null })
  )
  /** Whether another transaction has locked the row of the group. */
  const isLocked = Effect.fnUntraced(function* (fingerprint: string) {
    const sql = yield* SqlClient.SqlClient
    const schema = yield* DatabaseSchema
    const free =
      yield* sql`SELECT FROM ${sql(`${schema}.order_failure_groups`)} WHERE fingerprint = ${fingerprint} FOR UPDATE SKIP LOCKED`
    return free.length === 0
  })
  /** Two groups, each with an entry: the reasons and fingerprints, the lower fingerprint first. */
  const twoGroups = Effect.gen(function* () {
    yield* Effect.flatten(failing(["a", "b"]))
    const [low, high] = [...(yield* groups)].sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))
    assert(low !== undefined && high !== undefined)
    return { low, high }
  })

  it.live("a settle waits for a group before it locks groups of higher fingerprints", () =>
    Effect.gen(function* () {
      const { deadLetters } = yield* allStores
      const { high, low } = yield* twoGroups
      const settling = yield* failing([high.message, low.message])
      const mark = yield* inOpenTransaction(deadLetters.markFixed(low.fingerprint))
      const fiber = yield* Effect.forkScoped(settling)
      yield* waitsForLock(fiber)
      assert.isFalse(yield* isLocked(high.fingerprint))
      yield* mark.commit
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["settled", "settled"])
      assert.deepStrictEqual(
        (yield* groups).map(({ count }) => count),
        [2, 2]
      )
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("retention waits for a group before it locks groups of higher fingerprints", () =>
    Effect.gen(function* () {
      const { deadLetters, upkeep } = yield* allStores
      const { high, low } = yield* twoGroups
      const mark = yield* inOpenTransaction(deadLetters.markFixed(low.fingerprint))
      yield* Effect.sleep("5 millis")
      const fiber = yield* Effect.forkScoped(upkeep.deleteOldOrders("FAILED", Duration.zero, 10))
      yield* waitsForLock(fiber)
      assert.isFalse(yield* isLocked(high.fingerprint))
      yield* mark.commit
      assert.strictEqual(yield* Fiber.join(fiber), 2)
      assert.deepStrictEqual(yield* groups, [])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("of settles at the same time that add groups, none exceeds the maximum of a type", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const schema = yield* DatabaseSchema
      yield* sql`
        INSERT INTO ${sql(`${schema}.order_failure_groups`)} (fingerprint, type, reason_code, message, count, first_seen, last_seen, versions)
        SELECT n::text, 'default', 'PERMANENT', n::text, 1, now(), now(), '{}' FROM generate_series(1, ${maxGroupsOfType - 1}) AS n`
      const [one, two] = [yield* failing(["a", "a"]), yield* failing(["b", "c"])]
      const first = yield* inOpenTransaction(one)
      const fiber = yield* Effect.forkScoped(two)
      yield* waitsForLock(fiber)
      yield* first.commit
      yield* Fiber.join(fiber)
      const found = (yield* groups).map(({ count, message }) => [message, count])
      assert.strictEqual(found.length, maxGroupsOfType + 1)
      assert.sameDeepMembers(found.slice(0, 2), [
        ["a", 2],
        ["other", 2]
      ])
    }).pipe(Effect.scoped, Effect.provide(stores))
  )

  it.live("a settle that adds no group does not wait for one that does", () =>
    Effect.gen(function* () {
      const { low } = yield* twoGroups
      const known = yield* failing([low.message])
      const adding = yield* inOpenTransaction(yield* failing(["new"]))
      assert.deepStrictEqual(yield* known, ["settled"])
      yield* adding.commit
      assert.strictEqual((yield* groups).length, 3)
    }).pipe(Effect.scoped, Effect.provide(stores))
  )
})
