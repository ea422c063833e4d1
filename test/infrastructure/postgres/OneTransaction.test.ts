import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit } from "effect"
import { SqlClient } from "effect/sql"
import { allStores } from "../../../src/testing/AllStores.ts"
import { failure } from "../../../src/domain/Failure.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import type { OrderId } from "../../../src/domain/OrderId.ts"
import { newOrder } from "../../TestOrders.ts"
import * as TestPostgres from "../../TestPostgres.ts"

const lease = Duration.seconds(30)

/** Makes the next event of an order impossible to write, like a crash at that point. */
const blockHistory = Effect.fnUntraced(function* (id: OrderId, version: number) {
  const sql = yield* SqlClient.SqlClient
  const events = sql(`${yield* DatabaseSchema}.order_events`)
  yield* sql`INSERT INTO ${events} (order_id, version, event, to_status, at, attempt)
    VALUES (${id}::uuid, ${version}, 'created', 'PENDING', now(), 1)`
})

/** Every row of the tables that claims read, and of the audit. */
const tablesOfWork = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  return yield* Effect.forEach(
    [
      "order_due",
      "order_running",
      "order_workers",
      "order_key_waiting",
      "order_key_heads",
      "order_key_checks",
      "order_lanes",
      "order_lane_checks",
      "order_final",
      "order_audit"
    ],
    (table) => sql`SELECT * FROM ${sql(`${schema}.${table}`)} t ORDER BY t::text`
  )
})

describe("one transaction on PostgreSQL", () => {
  it.live(
    "an order whose event cannot be written is not stored, started, settled, expired or reprocessed",
    () =>
      Effect.gen(function* () {
        const stores = yield* allStores
        const dies = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.map(Effect.exit(effect), (exit) => assert.isTrue(Exit.hasDies(exit)))
        const claim = stores.work.claim({ worker: "w", lease, max: 1 })

        const unstored = newOrder()
        yield* blockHistory(unstored.id, 1)
        yield* dies(stores.intake.submit([unstored]))
        assert.strictEqual((yield* Effect.flip(stores.reads.find(unstored.id)))._tag, "OrderNotFound")

        const unstarted = newOrder({ priority: 9 })
        yield* stores.intake.submit([unstarted])
        yield* blockHistory(unstarted.id, 2)
        yield* dies(claim)
        assert.strictEqual((yield* stores.reads.find(unstarted.id)).status, "PENDING")

        const uncancelled = newOrder({ orderingKey: "key", group: "group" })
        yield* stores.intake.submit([uncancelled])
        const before = yield* tablesOfWork
        yield* blockHistory(uncancelled.id, 2)
        yield* dies(Effect.asVoid(stores.control.cancel(uncancelled.id, { reason: "test" })))
        assert.strictEqual((yield* stores.reads.find(uncancelled.id)).status, "PENDING")
        assert.deepStrictEqual(yield* tablesOfWork, before)
      }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("a settle whose event cannot be written changes neither order nor dead letters", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      yield* stores.intake.submit([newOrder({ maxRetries: 1, orderingKey: "key", group: "group" })])
      const [order] = (yield* stores.work.claim({ worker: "w", lease, max: 1 })).orders
      assert(order !== undefined)
      yield* blockHistory(order.id, 3)
      const outcome = { event: "failed", failure: failure("PERMANENT", "broken") } as const
      const before = yield* tablesOfWork
      assert.isTrue(Exit.hasDies(yield* Effect.exit(stores.work.settle([{ order, outcome }]))))
      assert.deepStrictEqual(yield* tablesOfWork, before)
      yield* stores.work.renew("w", Duration.zero)
      assert.isTrue(Exit.hasDies(yield* Effect.exit(stores.work.expire(1))))
      assert.strictEqual((yield* stores.reads.find(order.id)).status, "PROCESSING")
      assert.deepStrictEqual((yield* stores.deadLetters.list({ limit: 10, after: null })).entries, [])
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("a key whose order cannot be stored stays free: the repeated request stores its order", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const request = { scope: "client", key: "k", fingerprint: "f", answer: "a", keepFor: Duration.days(1) }
      const broken = newOrder()
      yield* blockHistory(broken.id, 1)
      const first = { ...request, requestId: newOrder().id, orders: [broken] }
      assert.isTrue(Exit.hasDies(yield* Effect.exit(stores.intake.submit([], [first]))))
      const again = { ...request, requestId: newOrder().id, orders: [newOrder()] }
      const [kept] = yield* stores.intake.submit([], [again])
      assert.strictEqual(kept?.requestId, again.requestId)
      for (const { id } of again.orders) assert.strictEqual((yield* stores.reads.find(id)).status, "PENDING")
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("leases and due times use the database's clock, not the worker's", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const future = DateTime.makeUnsafe("2040-01-01T00:00:00Z")
      yield* TestPostgres.setDatabaseClock(future)
      yield* stores.intake.submit([newOrder()])
      const [order] = (yield* stores.work.claim({ worker: "w", lease, max: 1 })).orders
      assert(order !== undefined)
      assert.deepStrictEqual(order.dueAt, future)
      const sql = yield* SqlClient.SqlClient
      const leaseEnds = sql`SELECT lease_until FROM ${sql(`${yield* DatabaseSchema}.order_workers`)}`
      const endsAt = (end: DateTime.Utc) => [{ lease_until: DateTime.toDateUtc(end) }]
      assert.deepStrictEqual(yield* leaseEnds, endsAt(DateTime.addDuration(future, lease)))
      assert.deepStrictEqual(yield* stores.work.expire(1), [])
      yield* stores.work.renew("w", Duration.seconds(40))
      assert.deepStrictEqual(yield* leaseEnds, endsAt(DateTime.add(future, { seconds: 40 })))
      const retried = {
        event: "retried",
        delay: Duration.seconds(5),
        failure: failure("TIMEOUT", "slow")
      } as const
      yield* stores.work.settle([{ order, outcome: retried }])
      const waiting = yield* stores.reads.find(order.id)
      assert.deepStrictEqual(
        waiting.status === "PENDING" && waiting.dueAt,
        DateTime.add(future, { seconds: 5 })
      )
    }).pipe(Effect.provide(TestPostgres.layer))
  )
})
