import { Effect } from "effect"

type Query = (statement: string) => Effect.Effect<ReadonlyArray<Record<string, unknown>>>

/** What the whole database read, by PostgreSQL's statistics. */
export interface Reads {
  /** Pages of 8 KiB, read from memory or disk. */
  readonly pages: number
  /** Rows that sequential scans read, by table. */
  readonly scannedRows: Readonly<Record<string, number>>
}

/** Sessions report their statistics after a second, idle ones after ten. */
const reported = "11 seconds"

const look = (query: Query) =>
  Effect.gen(function* () {
    yield* Effect.sleep(reported)
    yield* query("SELECT pg_stat_clear_snapshot()")
    const [database] = yield* query(
      "SELECT (blks_hit + blks_read)::float8 AS pages FROM pg_stat_database WHERE datname = current_database()"
    )
    const tables = yield* query("SELECT relname, seq_tup_read::float8 AS rows FROM pg_stat_user_tables")
    return {
      pages: Number(database?.["pages"]),
      rows: Object.fromEntries(tables.map(({ relname, rows }) => [String(relname), Number(rows)]))
    }
  })

/**
 * Runs an effect, and returns what the database read meanwhile, in all its statements, functions and triggers. Nothing else may
 * use the database, and autovacuum must be off.
 */
export const readsOf = <A, E, R>(query: Query, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* look(query)
    const idle = yield* look(query)
    const result = yield* effect
    const after = yield* look(query)
    const reads: Reads = {
      // Without what the looks themselves read.
      pages: Math.max(0, after.pages - idle.pages - (idle.pages - before.pages)),
      scannedRows: Object.fromEntries(
        Object.entries(after.rows).flatMap(([table, rows]) => {
          const scanned = rows - (idle.rows[table] ?? 0)
          return scanned > 0 ? [[table, scanned] as const] : []
        })
      )
    }
    return { result, reads }
  })
