import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Exit, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { allStores } from "../../../../src/testing/AllStores.ts"
import { DatabaseSchema } from "../../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { newOrder } from "../../../TestOrders.ts"
import * as TestPostgres from "../../../TestPostgres.ts"

/** Inserts PROCESSED orders that ended long ago. */
const oldOrders = Effect.fnUntraced(function* (count: number) {
  const stores = yield* allStores
  const given = Array.from({ length: count }, () => newOrder())
  yield* stores.intake.submit(given)
  const { orders } = yield* stores.work.claim({ worker: "w", lease: Duration.seconds(30), max: count })
  yield* stores.work.settle(orders.map((order) => ({ order, outcome: { event: "completed" } })))
  yield* TestPostgres.setDatabaseClock(DateTime.makeUnsafe("2040-01-01T00:00:00Z"))
  return given.map(({ id }) => id)
})

describe("retention on PostgreSQL", () => {
  it.live("while one process deletes, another deletes nothing and does not wait; afterwards it deletes", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const stores = yield* allStores
      yield* oldOrders(10)
      const deleteSome = (max: number) => stores.upkeep.deleteOldOrders("PROCESSED", Duration.days(1), max)
      const deleted = yield* Deferred.make<number>()
      const mayCommit = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* Deferred.succeed(deleted, yield* deleteSome(4))
            yield* Deferred.await(mayCommit)
          })
        )
      )
      assert.strictEqual(yield* Deferred.await(deleted), 4)
      assert.strictEqual(yield* deleteSome(4), 0)
      yield* Deferred.succeed(mayCommit, undefined)
      yield* Fiber.join(first)
      assert.strictEqual(yield* deleteSome(100), 6)
      assert.strictEqual(yield* deleteSome(100), 0)
    }).pipe(Effect.provide(TestPostgres.layer))
  )

  it.live("an order that is locked by another transaction is skipped, and the others are deleted", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const schema = yield* DatabaseSchema
      const stores = yield* allStores
      const [held] = yield* oldOrders(5)
      assert(held !== undefined)
      const locked = yield* Deferred.make<void>()
      const mayCommit = yield* Deferred.make<void>()
      const otherTransaction = yield* Effect.forkChild(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`SELECT 1 FROM ${sql(`${schema}.orders`)} WHERE id = ${held}::uuid FOR UPDATE`
            yield* Deferred.succeed(locked, undefined)
            yield* Deferred.await(mayCommit)
          })
        )
      )
      yield* Deferred.await(locked)
      assert.strictEqual(yield* stores.upkeep.deleteOldOrders("PROCESSED", Duration.days(1), 100), 4)
      yield* Deferred.succeed(mayCommit, undefined)
      yield* Fiber.join(otherTransaction)
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(stores.reads.find(held))))
      assert.strictEqual(yield* stores.upkeep.deleteOldOrders("PROCESSED", Duration.days(1), 100), 1)
    }).pipe(Effect.provide(TestPostgres.layer))
  )
})
