import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Metric, Option, Queue } from "effect"
import { SqlClient } from "effect/sql"
import { announced } from "../../../../src/application/ports/WakeUpMetrics.ts"
import { OrderPlatform } from "../../../../src/application/OrderPlatform.ts"
import { OrderWorker } from "../../../../src/application/work/OrderWorker.ts"
import { OrderProcessor } from "../../../../src/application/ports/OrderProcessor.ts"
import { WakeUp } from "../../../../src/application/ports/WakeUp.ts"
import { WorkerSettings } from "../../../../src/application/work/WorkerSettings.ts"
import { anyJsonObject } from "../../../../src/domain/OrderPayload.ts"
import { DatabaseSchema } from "../../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import * as Postgres from "../../../../src/infrastructure/postgres/Postgres.ts"
import * as PostgresWakeUp from "../../../../src/infrastructure/postgres/wake-ups/PostgresWakeUp.ts"
import { wakeUpContract } from "../../../../src/testing/WakeUpContract.ts"
import { eventually, awaitOrders } from "../../../processes/OrderPlatformProcess.ts"
import { ownSchema } from "../../../TestPostgres.ts"

const queues = Layer.suspend(() => PostgresWakeUp.layer.pipe(Layer.provideMerge(ownSchema())))

wakeUpContract("PostgreSQL", queues)

describe("PostgresWakeUp", () => {
  const announce = Effect.flatMap(WakeUp, (queue) => queue.announce(1))
  const woken = Effect.flatMap(WakeUp, (queue) => Effect.timeout(queue.awaitAnnouncement, "5 seconds"))
  const quiet = Effect.flatMap(WakeUp, (queue) => Effect.timeoutOption(queue.awaitAnnouncement, "200 millis"))

  it.live("wakes workers of other processes, but not those of another schema", () =>
    Effect.gen(function* () {
      const base = yield* Layer.build(ownSchema())
      const sender = yield* Layer.build(Layer.fresh(PostgresWakeUp.layer)).pipe(Effect.provideContext(base))
      const receiver = yield* Layer.build(Layer.fresh(PostgresWakeUp.layer)).pipe(Effect.provideContext(base))
      const stranger = yield* Layer.build(Layer.fresh(queues))
      yield* Effect.provideContext(woken, receiver)
      yield* Effect.provideContext(woken, stranger)
      yield* Effect.provideContext(announce, sender)
      yield* Effect.provideContext(woken, receiver)
      assert.isTrue(Option.isNone(yield* Effect.provideContext(quiet, stranger)))
    }).pipe(Effect.scoped)
  )

  it.live(
    "a listener whose connection is terminated listens again and wakes its worker, since it may have missed announcements",
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

  it.live("notifies once per statement, however many orders it stores, and all of them are claimed", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const schema = yield* DatabaseSchema
      const channel = `${schema}_order_platform`
      const heard = yield* sql.listen(channel)
      /** The number of notifications to workers since the last call. */
      const notifications = Effect.gen(function* () {
        yield* sql.notify(channel, "up to here")
        let count = 0
        while (true) {
          const { payload } = yield* Queue.take(heard)
          if (payload === "up to here") return count
          if (payload === "") count++
        }
      })
      // Two processes: one accepts orders, the other would not poll for hours.
      const queue = Layer.fresh(PostgresWakeUp.layer)
      yield* Layer.build(
        OrderWorker.layer(anyJsonObject).pipe(
          Layer.provide([
            queue,
            OrderProcessor.layer(anyJsonObject, () => Effect.void),
            Layer.succeed(WorkerSettings, {
              ...WorkerSettings.defaultValue(),
              pollInterval: Duration.hours(10)
            })
          ])
        )
      )
      yield* eventually(
        "the worker listens",
        Effect.map(
          sql`SELECT FROM pg_stat_activity WHERE query LIKE ${`LISTEN%${schema}%`} AND pid <> pg_backend_pid()`,
          (listeners) => (listeners.length === 2 ? true : undefined)
        )
      )
      const services = yield* Layer.build(OrderPlatform.layer(anyJsonObject).pipe(Layer.provide(queue)))
      const platform = Context.get(services, OrderPlatform.service(anyJsonObject))
      const many = (count: number) =>
        platform.submitMany(Array.from({ length: count }, () => ({ payload: {} })))
      const haveBeenAnnounced = (least: number) =>
        eventually(
          `${least} orders have been announced`,
          Effect.map(Metric.value(Metric.withAttributes(announced, { queue: "postgres" })), ({ count }) =>
            count >= least ? true : undefined
          )
        )

      yield* many(50)
      yield* haveBeenAnnounced(50)
      assert.strictEqual(yield* notifications, 1)

      yield* Effect.all(
        Array.from({ length: 50 }, () => platform.submit({ payload: {} })),
        { concurrency: "unbounded" }
      )
      // Larger than all before it, so that the last announcement can be recognised.
      yield* many(60)
      yield* haveBeenAnnounced(50 + 60)
      const [stored] = yield* sql<{ readonly statements: number }>`
        SELECT count(DISTINCT xmin::text)::int AS statements
        FROM ${sql(`${schema}.order_events`)} WHERE event = 'created'`
      assert.isAtMost(yield* notifications, (stored?.statements ?? 0) - 1)
      yield* awaitOrders({ PROCESSED: 160 })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.suspend(() => Postgres.layerStores.pipe(Layer.provideMerge(ownSchema({ maxConnections: 8 }))))
      ),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  )
})
