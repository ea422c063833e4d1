import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Latch, Layer, Predicate, Queue, Redacted, Stream } from "effect"
import { layerClient } from "../../../../src/infrastructure/postgres/Postgres.ts"
import { postgresProxy } from "../../../PostgresProxy.ts"

const connections = 8

/** A pool behind a proxy, with all its connections open. */
const poolBehindProxy = Effect.fnUntraced(function* (statementTimeout: Duration.Duration) {
  const proxy = yield* postgresProxy
  const context = yield* Layer.build(
    layerClient({
      url: Redacted.make(proxy.url),
      maxConnections: connections,
      prepare: true,
      acquireTimeout: Duration.seconds(2),
      statementTimeout
    })
  )
  const sql = yield* Effect.provideContext(PgClient.PgClient, context)
  // So long that the first is not free again before the last is open, even on a busy machine.
  const pids = Effect.map(
    Effect.all(
      Array.from(
        { length: connections },
        () => sql<{ pid: number }>`SELECT pg_backend_pid() AS pid, pg_sleep(0.7)`
      ),
      { concurrency: connections }
    ),
    (rows) => new Set(rows.flatMap((row) => row.map(({ pid }) => pid)))
  )
  return { proxy, sql, pids }
})

const orLost = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.orElseSucceed(effect, () => "lost" as const)

describe("the connections of a pool", { concurrent: true, timeout: 25_000 }, () => {
  it.live("that all fell silent cost the time of one statement, not of one each", () =>
    Effect.gen(function* () {
      const { pids, proxy, sql } = yield* poolBehindProxy(Duration.seconds(15))
      assert.strictEqual((yield* pids).size, connections)
      proxy.discard()
      proxy.heal()
      const lost = yield* Effect.timeoutOption(sql`SELECT 1`, "1500 millis").pipe(Effect.forkChild)
      yield* Effect.sleep("1400 millis")
      // One is still waited for; the others are closed, so the next statement has a new one.
      for (let n = 0; n < connections - 1; n++)
        assert.deepStrictEqual(yield* Effect.timeout(sql`SELECT 1 AS one`, "1 second"), [{ one: 1 }])
      lost.interruptUnsafe()
    }).pipe(Effect.scoped)
  )

  it.live("keep a slow statement, and are closed under one that is never answered within its time", () =>
    Effect.gen(function* () {
      const { proxy, sql } = yield* poolBehindProxy(Duration.seconds(1))
      // It is waited for within the two seconds: silence alone is no reason to close.
      yield* sql
        .unsafe("SET statement_timeout = 0")
        .pipe(Effect.andThen(sql`SELECT pg_sleep(1.7)`), sql.withTransaction)
      proxy.discard()
      proxy.heal()
      const error = yield* Effect.flip(Effect.timeout(sql`SELECT 1`, "10 seconds"))
      assert.strictEqual(error._tag, "SqlError")
    }).pipe(Effect.scoped)
  )

  it.live("that are idle in a transaction, listen, or are read slowly stay open while another is slow", () =>
    Effect.gen(function* () {
      const { sql } = yield* poolBehindProxy(Duration.seconds(15))
      const slow = yield* Latch.make(false)
      const pid = sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`
      const inTransaction = Effect.map(
        sql.withTransaction(Effect.all([pid, slow.await, pid])),
        ([[before], , [after]]) => before?.pid === after?.pid
      )
      const inFailedTransaction = sql
        .withTransaction(Effect.andThen(Effect.exit(sql`SELECT 1 / 0`), Effect.andThen(slow.await, pid)))
        .pipe(
          Effect.flip,
          Effect.map(({ reason }) => Predicate.hasProperty(reason.cause, "code") && reason.cause.code)
        )
      const listening = Effect.flatMap(sql.listen("watched"), (notifications) =>
        Effect.andThen(
          slow.await,
          Effect.map(Queue.take(notifications), ({ payload }) => payload)
        )
      ).pipe(Effect.scoped)
      // Twenty megabytes, of which only the beginning is read for longer than the time limit of a response.
      const { sql: impatient } = yield* poolBehindProxy(Duration.seconds(1))
      const streaming = impatient`
          SELECT set_config('statement_timeout', '0', true),
            set_config('idle_in_transaction_session_timeout', '0', true)`.pipe(
        Effect.andThen(
          impatient`SELECT repeat('x', 1000) FROM generate_series(1, 20000)`.stream.pipe(
            Stream.mapEffect(() => Effect.as(slow.await, 1)),
            Stream.runFold(
              () => 0,
              (sum, one) => sum + one
            )
          )
        ),
        impatient.withTransaction
      )
      const others = yield* Effect.forkChild(
        Effect.all(
          [orLost(inTransaction), orLost(inFailedTransaction), orLost(listening), orLost(streaming)],
          { concurrency: "unbounded" }
        )
      )
      // Longer than the second until a connection is suspected, plus the second for which a suspected one is silent.
      yield* Effect.all([sql`SELECT pg_sleep(3)`, sql`SELECT pg_sleep(3)`], { concurrency: 2 })
      yield* slow.open
      yield* sql.notify("watched", "still there")
      assert.deepStrictEqual(yield* Fiber.join(others), [true, "25P02", "still there", 20_000])
    }).pipe(Effect.scoped)
  )
})
