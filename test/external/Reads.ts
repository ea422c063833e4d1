import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** What a session read, by PostgreSQL's statistics. */
export interface Reads {
  /** Pages of 8 KiB, from memory or disk, in all statements, functions and triggers. */
  readonly pages: number
  /** The number of rows that sequential scans read, by table. */
  readonly scannedRows: Readonly<Record<string, number>>
  /** The indexes that were searched. */
  readonly indexes: ReadonlyArray<string>
}

const look = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // The session reports its statistics at the end of this statement.
  yield* sql`SELECT pg_stat_force_next_flush()`
  yield* sql`SELECT pg_stat_clear_snapshot()`
  const [database] = yield* sql<{ readonly pages: number }>`
    SELECT (blks_hit + blks_read)::float8 AS pages FROM pg_stat_database WHERE datname = current_database()`
  const counts = yield* sql<{ readonly kind: string; readonly name: string; readonly count: number }>`
    SELECT 'table' AS kind, relname::text AS name, seq_tup_read::float8 AS count FROM pg_stat_user_tables
    UNION ALL SELECT 'index', indexrelname, idx_scan FROM pg_stat_user_indexes`
  return { pages: database?.pages ?? 0, counts: new Map(counts.map((c) => [`${c.kind} ${c.name}`, c.count])) }
})

/**
 * Runs an effect, and returns what its session read. The client has one connection, nothing else uses the database, and
 * autovacuum is off. PostgreSQL 15 or newer.
 */
export const readsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* look
    const before = yield* look
    const idle = yield* look
    const result = yield* effect
    const after = yield* look
    const grown = (kind: string) =>
      [...after.counts].flatMap(([key, count]) => {
        const more = count - (idle.counts.get(key) ?? 0)
        return key.startsWith(kind) && more > 0 ? [[key.slice(kind.length + 1), more] as const] : []
      })
    const reads: Reads = {
      // Without the pages that reading the statistics takes.
      pages: Math.max(0, after.pages - idle.pages - (idle.pages - before.pages)),
      scannedRows: Object.fromEntries(grown("table")),
      indexes: grown("index").map(([name]) => name)
    }
    return { result, reads }
  })
