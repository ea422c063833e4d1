import { assert, layer } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { noLimits } from "../../../src/domain/Groups.ts"
import type { NewOrder, Outcome } from "../../../src/domain/Order.ts"
import { failure } from "../../../src/domain/Failure.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import * as Postgres from "../../../src/infrastructure/postgres/Postgres.ts"
import { newOrder } from "../../TestOrders.ts"
import * as TestPostgres from "../../TestPostgres.ts"

// A connection keeps its plans. Plans that were made while the statistics said that the tables are empty must still be
// good after the tables have grown: until the next ANALYZE, which can be minutes after the start of a new system.

/** Stores on one connection, so that every statement uses the plans of the first ones. */
const oneConnection = Layer.suspend(() =>
  Postgres.layerStores.pipe(
    Layer.provideMerge(TestPostgres.ownSchema({ maxConnections: 1, statementTimeout: Duration.minutes(1) }))
  )
)

const count = 20_000
const lease = Duration.hours(1)
const limits = { ...noLimits, maxRunning: 50 }
const failed = failure("PROCESSING_FAILED", "x")
const outcomes: ReadonlyArray<Outcome> = [
  { event: "completed" },
  { event: "failed", failure: failed },
  { event: "retried", failure: failed, delay: Duration.zero }
]

/** A third has neither key nor group, a third is in 500 groups, and a third is in 500 groups with a key each. */
const orderOf = (n: number): NewOrder =>
  newOrder({
    priority: n % 2,
    group: n % 3 === 0 ? null : `group ${n % 500}`,
    orderingKey: n % 3 === 2 ? `key ${n}` : null
  })

const submit = Effect.fnUntraced(function* (orders: number) {
  const { intake } = yield* allStores
  const all = Array.from({ length: orders }, (_, n) => orderOf(n))
  for (let from = 0; from < orders; from += 1000) yield* intake.submit(all.slice(from, from + 1000))
  return all
})

/** Submits, claims, renews, settles, expires, cancels and runs a few orders, each as a step with its name. */
const steps = Effect.gen(function* () {
  const { control, intake, work } = yield* allStores
  let held: Effect.Success<ReturnType<typeof work.claim>>["orders"] = []
  let turns = {}
  const claim = (worker: string, lease: Duration.Duration) =>
    Effect.map(work.claim({ worker, lease, max: 30, turns, defaultLimits: limits }), (claimed) => {
      held = claimed.orders
      turns = claimed.turns
    })
  const waiting = [orderOf(0), orderOf(1), orderOf(2)]
  const later = { ...orderOf(2), notBefore: DateTime.addDuration(yield* DateTime.now, lease) }
  return [
    ["submit", intake.submit(waiting)],
    ["claim", claim("w", lease)],
    ["renew", work.renew("w", lease)],
    [
      "settle",
      Effect.suspend(() =>
        work.settle(
          held.map((order, n) => ({ order, outcome: outcomes[n % 3] ?? { event: "completed" as const } }))
        )
      )
    ],
    ["claim after a settle", claim("lost", Duration.zero)],
    ["expire", work.expire(100)],
    ["cancel", Effect.forEach(waiting, ({ id }) => Effect.ignore(control.cancel(id, { reason: "x" })))],
    ["run", Effect.andThen(intake.submit([later]), control.run(later.id))]
  ] as ReadonlyArray<readonly [name: string, step: Effect.Effect<unknown, unknown>]>
})

/** Rows that scans of tables and indexes returned so far, by PostgreSQL's statistics of this schema. */
const rowsRead = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* sql`SELECT pg_stat_force_next_flush()`
  yield* sql`SELECT pg_stat_clear_snapshot()`
  const rows = yield* sql<{ readonly name: string; readonly rows: number }>`
    SELECT relname::text AS name, seq_tup_read::float8 AS rows FROM pg_stat_user_tables WHERE schemaname = ${schema}
    UNION ALL SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes WHERE schemaname = ${schema}`
  return new Map(rows.map(({ name, rows }) => [name, rows]))
})

const vacuum = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const tables = yield* sql<{ readonly name: string }>`
    SELECT relname::text AS name FROM pg_stat_user_tables WHERE schemaname = ${schema}`
  for (const { name } of tables) yield* sql.unsafe(`VACUUM ANALYZE "${schema}".${name}`)
})

layer(oneConnection, { excludeTestServices: true, timeout: "2 minutes" })("tables that grow", (it) => {
  it.effect("are not read whole by statements that were planned while they were empty", () =>
    Effect.gen(function* () {
      // The statistics say that the tables are empty. PostgreSQL may keep a plan after five executions, so each step
      // runs eight times.
      yield* vacuum
      for (let n = 0; n < 8; n++) for (const [, step] of yield* steps) yield* step
      yield* submit(count)
      const all = yield* steps
      const found: Array<string> = []
      for (const [name, step] of all) {
        const before = yield* rowsRead
        const idle = yield* rowsRead
        yield* step
        const after = yield* rowsRead
        for (const [table, rows] of after) {
          const own = (idle.get(table) ?? 0) - (before.get(table) ?? 0)
          const read = rows - (idle.get(table) ?? 0) - own
          if (read > 4000) found.push(`${name} reads ${read} rows of ${table}`)
        }
      }
      assert.deepStrictEqual(found, [])
    })
  )
})
