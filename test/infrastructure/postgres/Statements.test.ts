import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Layer, Redacted, Result } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import * as Net from "node:net"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import type { StoredAnswer, KeyedOrders } from "../../../src/application/ports/IntakeStore.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { failure } from "../../../src/domain/Failure.ts"
import type { Outcome, ProcessingOrder } from "../../../src/domain/Order.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as MemoryWakeUp from "../../../src/infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import * as Postgres from "../../../src/infrastructure/postgres/Postgres.ts"
import { newOrder } from "../../TestOrders.ts"
import { messages } from "../../PostgresMessages.ts"
import * as TestPostgres from "../../TestPostgres.ts"

let executed = 0

/**
 * A socket that counts statements: simple queries (Q) and executions of prepared ones (E), including BEGIN and COMMIT.
 * Source: PostgreSQL documentation, "Message Formats".
 */
const countingSocket = (host: string, port: number) => {
  const socket = Net.connect({ host, port, noDelay: true })
  const typesIn = messages()
  const write = socket.write.bind(socket)
  return Object.assign(socket, {
    write: (chunk: Uint8Array) => {
      executed += typesIn(chunk).filter((type) => type === "E" || type === "Q").length
      return write(chunk)
    }
  })
}

/** Stores on a new schema, with every connection counted. */
const counting = Layer.suspend(() => {
  const url = new URL(TestPostgres.databaseUrl())
  const client = PgClient.layerFrom(
    PgClient.make({
      url: Redacted.make(url.href),
      ssl: false,
      stream: () => countingSocket(url.hostname, Number(url.port || 5432)),
      maxConnections: 4
    })
  )
  // The plain client's layer creates, names and drops the schema.
  const schema = TestPostgres.ownSchema()
  return Postgres.layerStores.pipe(
    Layer.provideMerge(client),
    Layer.provideMerge(Layer.effect(DatabaseSchema, DatabaseSchema).pipe(Layer.provide(schema)))
  )
})

const lease = Duration.seconds(30)
const many = (n: number) => Array.from({ length: n }, () => newOrder())
const outcomes: ReadonlyArray<Outcome> = [
  { event: "completed" },
  { event: "failed", failure: failure("PERMANENT", "broken") },
  { event: "retried", failure: failure("PROCESSING_FAILED", "not yet"), delay: Duration.seconds(1) },
  { event: "snoozed", delay: Duration.seconds(1), detail: null },
  { event: "released", detail: "stopped" }
]
const outcomeNumber = (n: number): Outcome => outcomes[n % outcomes.length] ?? { event: "completed" }

/** The number of statements of the effect. */
const cost = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const before = executed
    return Effect.map(effect, (value) => ({ value, statements: executed - before }))
  })

layer(counting)("the statements of the hot path", (it) => {
  const advance = Effect.fnUntraced(function* (by: Duration.Duration) {
    yield* TestClock.adjust(by)
    yield* TestPostgres.setDatabaseClock(yield* DateTime.now)
  })
  const claimed = Effect.fnUntraced(function* (worker: string, n: number) {
    const stores = yield* allStores
    yield* stores.intake.submit(many(n))
    const { orders } = yield* stores.work.claim({ worker, lease, max: n })
    assert.strictEqual(orders.length, n)
    return orders
  })
  const settleAll = Effect.fnUntraced(function* (orders: ReadonlyArray<ProcessingOrder>) {
    yield* (yield* allStores).work.settle(orders.map((order) => ({ order, outcome: { event: "completed" } })))
  })

  // Every test starts at its own time, with no due order and no lease.
  const nothingDue = Effect.gen(function* () {
    const stores = yield* allStores
    yield* advance(Duration.days(1))
    yield* stores.work.expire(1000)
    yield* settleAll((yield* stores.work.claim({ worker: "broom", lease, max: 1000 })).orders)
  })

  it.effect("the count includes every statement that is sent, commits included", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      assert.strictEqual((yield* cost(sql`SELECT 1`)).statements, 1)
      assert.strictEqual((yield* cost(Effect.all([sql`SELECT 1`, sql`SELECT ${2}::int`]))).statements, 2)
      assert.strictEqual((yield* cost(sql.withTransaction(sql`SELECT 1`))).statements, 3)
    })
  )

  it.effect("submit, claim and settle of 200 orders cost at most two statements each", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      yield* nothingDue
      const given = many(200)
      const submit = yield* cost(stores.intake.submit(given))
      assert.include([1, 2], submit.statements)

      const claim = yield* cost(stores.work.claim({ worker: "w1", lease, max: 200 }))
      assert.strictEqual(claim.value.orders.length, 200)
      assert.include([1, 2], claim.statements)

      const settlements = claim.value.orders.map((order, n) => ({ order, outcome: outcomeNumber(n) }))
      const settle = yield* cost(stores.work.settle(settlements))
      assert.deepStrictEqual(
        settle.value,
        Array.from({ length: 200 }, () => "settled")
      )
      assert.include([1, 2], settle.statements)

      // All were stored, 40 of each outcome.
      assert.strictEqual((yield* stores.deadLetters.list({ limit: 1000, after: null })).entries.length, 40)
      const stored = yield* stores.reads.find(given[0]?.id ?? newOrder().id)
      assert.strictEqual(stored.version, 3)
    })
  )

  it.effect(
    "200 submits with keys cost at most two statements, also when repeated, and a bulk of 1000 costs one",
    () =>
      Effect.gen(function* () {
        const stores = yield* allStores
        const withKeys = (): ReadonlyArray<KeyedOrders> =>
          many(200).map((order, n) => ({
            scope: "POST /orders",
            key: `key ${n}`,
            fingerprint: "the same",
            requestId: globalThis.crypto.randomUUID(),
            orders: [order],
            answer: order.id,
            keepFor: Duration.days(1)
          }))
        const asked = withKeys()
        const first = yield* cost(stores.intake.submit([], asked))
        assert.include([1, 2], first.statements)
        const answers = (of: ReadonlyArray<StoredAnswer | null>) => of.map((kept) => kept?.answer)
        assert.deepStrictEqual(
          answers(first.value),
          asked.map(({ answer }) => answer)
        )
        const again = yield* cost(stores.intake.submit([], withKeys()))
        assert.include([1, 2], again.statements)
        assert.deepStrictEqual(answers(again.value), answers(first.value))

        const context = yield* Layer.build(
          OrderPlatform.layer(anyJsonObject).pipe(Layer.provide(MemoryWakeUp.layer))
        )
        const platform = Context.get(context, OrderPlatform.service(anyJsonObject))
        // Waiting orders are counted at most once a second: here once, after the first.
        const before = executed
        yield* platform.submit({ payload: {} })
        while (executed < before + 2)
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        const bulk = yield* cost(platform.submitMany(Array.from({ length: 1000 }, () => ({ payload: {} }))))
        assert.strictEqual(bulk.statements, 1)
        assert.strictEqual(bulk.value.answer.filter(Result.isSuccess).length, 1000)
      })
  )

  it.effect("a repeated settle of 200, and a settle of 200 stale attempts, cost no more", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      yield* nothingDue
      const orders = yield* claimed("w1", 200)
      const settlements = orders.map((order) => ({ order, outcome: outcomeNumber(2) }))
      yield* stores.work.settle(settlements)
      const again = yield* cost(stores.work.settle(settlements))
      assert.deepStrictEqual(
        again.value,
        Array.from({ length: 200 }, () => "repeated")
      )
      assert.include([1, 2], again.statements)
      const stale = yield* cost(
        stores.work.settle(orders.map((order) => ({ order, outcome: outcomeNumber(0) })))
      )
      assert.deepStrictEqual(
        stale.value,
        Array.from({ length: 200 }, () => "stale")
      )
      assert.include([1, 2], stale.statements)
    })
  )

  it.effect("renewing 100 leases costs one statement", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      yield* nothingDue
      const orders = yield* claimed("w-renew", 100)
      const renew = yield* cost(stores.work.renew("w-renew", lease))
      assert.strictEqual(renew.value.length, 100)
      assert.strictEqual(renew.statements, 1)
      yield* settleAll(orders)
    })
  )

  it.effect("expiring 100 orders costs one statement, whether they end PENDING or FAILED", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      yield* nothingDue
      yield* stores.intake.submit([
        ...Array.from({ length: 50 }, () => newOrder({ maxRetries: 1 })),
        ...Array.from({ length: 50 }, () => newOrder({ maxRetries: 3 }))
      ])
      yield* stores.work.claim({ worker: "frozen", lease, max: 100 })
      yield* advance(lease)
      const expire = yield* cost(stores.work.expire(100))
      assert.strictEqual(expire.value.filter(({ status }) => status === "FAILED").length, 50)
      assert.strictEqual(expire.value.filter(({ status }) => status === "PENDING").length, 50)
      assert.strictEqual(expire.statements, 1)
    })
  )

  it.effect("a reprocess and a discard cost one statement each", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      yield* nothingDue
      const orders = yield* claimed("w1", 2)
      yield* stores.work.settle(orders.map((order) => ({ order, outcome: outcomeNumber(1) })))
      const [one, two] = orders
      assert(one !== undefined && two !== undefined)
      assert.strictEqual((yield* cost(stores.deadLetters.reprocess(one.id))).statements, 1)
      assert.strictEqual((yield* cost(stores.deadLetters.discard(two.id))).statements, 1)
    })
  )
})
