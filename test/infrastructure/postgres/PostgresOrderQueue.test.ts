import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { OrderQueue } from "../../../src/application/ports/OrderQueue.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/DatabaseSchema.ts"
import * as PostgresOrderQueue from "../../../src/infrastructure/postgres/PostgresOrderQueue.ts"
import { orderQueueContract } from "../../../src/testing/OrderQueueContract.ts"
import { newOrder } from "../../TestOrders.ts"
import { schemaOfItsOwn } from "../../TestPostgres.ts"

const queues = Layer.suspend(() => PostgresOrderQueue.layer.pipe(Layer.provideMerge(schemaOfItsOwn())))

orderQueueContract("PostgreSQL", queues)

describe("PostgresOrderQueue", () => {
  const announce = Effect.flatMap(OrderQueue, (queue) =>
    queue.announce([{ event: "OrderCreated", orderId: newOrder().id }])
  )
  const woken = Effect.flatMap(OrderQueue, (queue) => Effect.timeout(queue.announced, "5 seconds"))
  const quiet = Effect.flatMap(OrderQueue, (queue) => Effect.timeoutOption(queue.announced, "200 millis"))

  it.live("wakes workers of other processes, but not those of another schema", () =>
    Effect.gen(function* () {
      const base = yield* Layer.build(schemaOfItsOwn())
      const sender = yield* Layer.build(Layer.fresh(PostgresOrderQueue.layer)).pipe(
        Effect.provideContext(base)
      )
      const receiver = yield* Layer.build(Layer.fresh(PostgresOrderQueue.layer)).pipe(
        Effect.provideContext(base)
      )
      const stranger = yield* Layer.build(Layer.fresh(queues))
      yield* Effect.provideContext(woken, receiver)
      yield* Effect.provideContext(woken, stranger)
      yield* Effect.provideContext(announce, sender)
      yield* Effect.provideContext(woken, receiver)
      assert.isTrue(Option.isNone(yield* Effect.provideContext(quiet, stranger)))
    }).pipe(Effect.scoped)
  )

  it.live(
    "a listener whose connection is terminated listens again, and wakes its worker for what it may have missed",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const schema = yield* DatabaseSchema
        yield* woken
        assert.isTrue(Option.isNone(yield* quiet))
        const killed = yield* sql`
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE query LIKE ${`LISTEN%${schema}%`} AND pid <> pg_backend_pid()`
        assert.strictEqual(killed.length, 1)
        yield* woken
        yield* announce
        yield* woken
      }).pipe(Effect.provide(queues))
  )
})
