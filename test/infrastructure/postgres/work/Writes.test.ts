import { assert, describe, it } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer, Option, Queue } from "effect"
import { SqlClient } from "effect/sql"
import { OrderPlatform } from "../../../../src/application/OrderPlatform.ts"
import { OutcomeNotStorable } from "../../../../src/application/ports/WorkStore.ts"
import { allStores } from "../../../../src/testing/AllStores.ts"
import type { Outcome } from "../../../../src/domain/Order.ts"
import { anyJsonObject } from "../../../../src/domain/OrderPayload.ts"
import { DatabaseSchema } from "../../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import * as PostgresWakeUp from "../../../../src/infrastructure/postgres/wake-ups/PostgresWakeUp.ts"
import * as MemoryWakeUp from "../../../../src/infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import { newOrder } from "../../../TestOrders.ts"
import * as TestPostgres from "../../../TestPostgres.ts"

const completed: Outcome = { event: "completed" }
const claim = Effect.gen(function* () {
  const stores = yield* allStores
  yield* stores.intake.submit([newOrder()])
  const [order] = (yield* stores.work.claim({ worker: "w", lease: Duration.seconds(30), max: 1 })).orders
  assert(order !== undefined)
  return order
})
/** A table of the app's own, beside ours. */
const invoices = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const table = sql(`${yield* DatabaseSchema}.invoices`)
  yield* sql`CREATE TABLE ${table} (order_id uuid PRIMARY KEY)`
  return {
    add: (id: string) => sql`INSERT INTO ${table} VALUES (${id}::uuid)`,
    count: Effect.map(sql<{ n: number }>`SELECT count(*)::int AS n FROM ${table}`, ([row]) => row?.n)
  }
})

describe("the app's own writes on PostgreSQL", () => {
  it.live("commit with the outcome", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const { add, count } = yield* invoices
      const order = yield* claim
      assert.strictEqual(
        yield* stores.work.settleWithWrites({ order, outcome: completed }, add(order.id)),
        "settled"
      )
      assert.strictEqual(yield* count, 1)
      assert.strictEqual((yield* stores.reads.find(order.id)).status, "PROCESSED")
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("are rolled back with the outcome when one of them is refused", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const { add, count } = yield* invoices
      const order = yield* claim
      const twice = Effect.andThen(add(order.id), add(order.id))
      const refused = yield* Effect.flip(stores.work.settleWithWrites({ order, outcome: completed }, twice))
      assert.strictEqual(refused._tag, "WritesRefused")
      assert.include(refused._tag === "WritesRefused" ? refused.reason : "", "duplicate key")
      assert.strictEqual(yield* count, 0)
      assert.strictEqual((yield* stores.reads.find(order.id)).status, "PROCESSING")
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("are refused even if they catch the error of the database", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const { add, count } = yield* invoices
      const order = yield* claim
      const twice = Effect.andThen(add(order.id), Effect.exit(add(order.id)))
      const refused = yield* Effect.flip(stores.work.settleWithWrites({ order, outcome: completed }, twice))
      assert.strictEqual(refused._tag, "WritesRefused")
      assert.strictEqual(yield* count, 0)
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("are not blamed for an error of our own statement", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const stores = yield* allStores
      const { add, count } = yield* invoices
      const order = yield* claim
      const events = sql(`${yield* DatabaseSchema}.order_events`)
      yield* sql`ALTER TABLE ${events} ADD CONSTRAINT broken CHECK (event <> 'completed')`
      const exit = yield* Effect.exit(
        stores.work.settleWithWrites({ order, outcome: completed }, add(order.id))
      )
      assert.instanceOf(Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit.value, OutcomeNotStorable)
      assert.strictEqual(yield* count, 0)
      yield* sql`ALTER TABLE ${events} DROP CONSTRAINT broken`
      assert.strictEqual(
        yield* stores.work.settleWithWrites({ order, outcome: completed }, add(order.id)),
        "settled"
      )
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("run again at no cost when their connection breaks", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const stores = yield* allStores
      const { add, count } = yield* invoices
      const order = yield* claim
      let attempts = 0
      const writes = Effect.suspend(() =>
        ++attempts === 1
          ? Effect.andThen(add(order.id), sql`SELECT pg_terminate_backend(pg_backend_pid())`)
          : add(order.id)
      )
      assert.strictEqual(
        yield* stores.work.settleWithWrites({ order, outcome: completed }, writes),
        "settled"
      )
      assert.strictEqual(attempts, 2)
      assert.strictEqual(yield* count, 1)
      assert.strictEqual((yield* stores.reads.find(order.id)).retryCount, 0)
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("do not block the renewal of the lease while they run, and are rolled back if it was lost", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const { add, count } = yield* invoices
      const order = yield* claim
      const running = yield* Deferred.make<void>()
      const lost = yield* Deferred.make<void>()
      const writes = add(order.id).pipe(
        Effect.andThen(Deferred.succeed(running, undefined)),
        Effect.andThen(Deferred.await(lost))
      )
      const settling = yield* Effect.forkChild(
        stores.work.settleWithWrites({ order, outcome: completed }, writes)
      )
      yield* Deferred.await(running)
      const [renewed] = yield* stores.work.renew("w", Duration.minutes(5))
      assert.strictEqual(renewed?.id, order.id)
      // The worker's lease and a cancel do not wait for the writes either.
      const { nextLeaseEndIn } = yield* stores.work.claim({ worker: "w", lease: Duration.minutes(5), max: 1 })
      assert.isTrue(Duration.isGreaterThan(nextLeaseEndIn ?? Duration.zero, Duration.minutes(4)))
      yield* stores.work.renew("w", Duration.zero)
      assert.strictEqual((yield* stores.work.expire(1)).length, 1)
      yield* Deferred.succeed(lost, undefined)
      assert.strictEqual(yield* Fiber.join(settling), "stale")
      assert.strictEqual(yield* count, 0)
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("do not run for a worker that lost its lease", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const { add, count } = yield* invoices
      const order = yield* claim
      yield* stores.work.renew("w", Duration.zero)
      yield* stores.work.expire(1)
      assert.strictEqual(
        yield* stores.work.settleWithWrites({ order, outcome: completed }, add(order.id)),
        "stale"
      )
      assert.strictEqual(yield* count, 0)
    }).pipe(Effect.provide(TestPostgres.layer))
  )
})

describe("a submit inside the caller's own transaction", () => {
  const app = OrderPlatform.layer(anyJsonObject).pipe(
    Layer.provideMerge(PostgresWakeUp.layer),
    Layer.provideMerge(Layer.suspend(() => TestPostgres.layer))
  )
  /** Listens like a worker of another process, and returns the number of announcements within a moment. */
  const listener = Effect.gen(function* () {
    const channel = `${yield* DatabaseSchema}_order_platform`
    const notifications = yield* (yield* PgClient.PgClient).listen(channel)
    return { heard: Effect.map(Effect.timeoutOption(Queue.take(notifications), "300 millis"), Option.isSome) }
  })

  it.live("leaves no order, no history and no announcement when it rolls back", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const schema = yield* DatabaseSchema
      const platform = yield* OrderPlatform.service(anyJsonObject)
      const { heard } = yield* listener
      const rolledBack = sql.withTransaction(
        Effect.andThen(platform.submit({ payload: {} }), Effect.fail("changed my mind"))
      )
      assert.strictEqual(yield* Effect.flip(rolledBack), "changed my mind")
      const [counts] = yield* sql<{ orders: number; events: number }>`
        SELECT (SELECT count(*)::int FROM ${sql(`${schema}.orders`)}) AS orders,
          (SELECT count(*)::int FROM ${sql(`${schema}.order_events`)}) AS events`
      assert.deepStrictEqual(counts, { orders: 0, events: 0 })
      assert.isFalse(yield* heard)
    }).pipe(Effect.scoped, Effect.provide(app))
  )

  it.live("commits with it, and is announced only then", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const platform = yield* OrderPlatform.service(anyJsonObject)
      const { heard } = yield* listener
      const id = yield* sql.withTransaction(
        Effect.gen(function* () {
          const id = yield* platform.submit({ payload: {} })
          assert.isFalse(yield* heard)
          return id
        })
      )
      assert.strictEqual((yield* platform.find(id)).status, "PENDING")
      assert.isTrue(yield* heard)
    }).pipe(Effect.scoped, Effect.provide(app))
  )
})

describe("a submit with a key inside the caller's own transaction", () => {
  const app = OrderPlatform.layer(anyJsonObject).pipe(
    Layer.provideMerge(Layer.suspend(() => Layer.mergeAll(TestPostgres.layer, MemoryWakeUp.layer)))
  )
  const submit = (key: string, n = 1) =>
    Effect.flatMap(OrderPlatform.service(anyJsonObject), (platform) =>
      platform.submit({ payload: { n } }, { idempotency: { key } })
    )

  it.live("leaves its key free after a rollback, and answers by the key after the commit", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* Effect.flip(sql.withTransaction(Effect.andThen(submit("k"), Effect.fail("changed my mind"))))
      const [first, inside] = yield* sql.withTransaction(Effect.all([submit("k", 2), submit("k", 2)]))
      assert.deepStrictEqual([first.replayed, inside], [false, { answer: first.answer, replayed: true }])
      assert.deepStrictEqual(yield* submit("k", 2), { answer: first.answer, replayed: true })
      assert.strictEqual((yield* Effect.flip(submit("k", 3)))._tag, "IdempotencyMismatch")
      assert.deepStrictEqual(yield* sql.withTransaction(submit("k", 2)), {
        answer: first.answer,
        replayed: true
      })
    }).pipe(Effect.provide(app))
  )

  it.live("is waited for by calls with its key only", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const platform = yield* OrderPlatform.service(anyJsonObject)
      const taken = yield* Deferred.make<void>()
      const commit = yield* Deferred.make<void>()
      const theirs = yield* Effect.forkChild(
        sql.withTransaction(
          Effect.gen(function* () {
            const first = yield* submit("k")
            yield* Deferred.succeed(taken, undefined)
            yield* Deferred.await(commit)
            return first
          })
        )
      )
      yield* Deferred.await(taken)
      const duplicates = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(submit("k")))
      const another = yield* Effect.forkChild(sql.withTransaction(submit("k")))
      // Other orders of the same batch, with and without keys.
      yield* Effect.forEach(
        [
          Effect.asVoid(platform.submit({ payload: {} })),
          Effect.asVoid(submit("other")),
          Effect.asVoid(platform.submit({ payload: {} }))
        ],
        (neighbour) =>
          Effect.timeoutOrElse(neighbour, { duration: "3 seconds", orElse: () => Effect.die("held up") }),
        { concurrency: "unbounded" }
      )
      for (const duplicate of [...duplicates, another]) assert.isUndefined(duplicate.pollUnsafe())
      yield* Deferred.succeed(commit, undefined)
      const first = yield* Fiber.join(theirs)
      assert.isFalse(first.replayed)
      for (const duplicate of [...duplicates, another])
        assert.deepStrictEqual(yield* Fiber.join(duplicate), { answer: first.answer, replayed: true })
    }).pipe(Effect.provide(app))
  )
})
