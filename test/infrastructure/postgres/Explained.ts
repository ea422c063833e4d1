import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient, type Statement } from "effect/sql"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"

interface Plan {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly "Shared Hit Blocks": number
  readonly "Shared Read Blocks": number
  readonly Plans?: ReadonlyArray<Plan>
}
const nodes = (plan: Plan): ReadonlyArray<Plan> => [plan, ...(plan.Plans ?? []).flatMap(nodes)]

/** How the database executed a statement. */
export interface Explained {
  /** The number of pages (8 KiB) that it read, including functions but not triggers. */
  readonly pages: number
  /** The tables with a sequential scan in its plan. */
  readonly scanned: ReadonlyArray<string>
  /** The indexes in its plan. */
  readonly indexes: ReadonlySet<string>
  /**
   * The tables that had a sequential scan while it ran, including functions and triggers, by PostgreSQL's statistics.
   */
  readonly scannedInside: ReadonlyArray<string>
}

/**
 * Executes the statement twice, rolls both back and explains the second. The first may read hundreds of catalog pages,
 * because another test's DDL has invalidated the caches of this connection. The plan does not include functions and
 * triggers, so their scans are read from PostgreSQL's statistics of the transaction.
 */
export const explained = Effect.fnUntraced(function* (statement: Statement.Statement<unknown>) {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const [text, parameters] = statement.compile()
  // May include scans of earlier transactions that were not reported yet, so only the difference counts.
  const scans = Effect.map(
    sql<{ readonly name: string; readonly count: number }>`
      SELECT relname AS name, seq_scan::int AS count FROM pg_stat_xact_all_tables WHERE schemaname = ${schema}`,
    (rows) => new Map(rows.map(({ count, name }) => [name, count]))
  )
  const run = Effect.gen(function* () {
    const before = yield* scans
    const [row] = yield* sql.unsafe<{ "QUERY PLAN": ReadonlyArray<{ readonly Plan: Plan }> }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
      parameters
    )
    // Run the deferred checks now.
    yield* sql`SET CONSTRAINTS ALL IMMEDIATE`
    const after = yield* scans
    const plan = row?.["QUERY PLAN"][0]?.Plan
    assert(plan !== undefined)
    return yield* Effect.fail<Explained>({
      pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
      scanned: nodes(plan).flatMap((node) =>
        /Seq Scan/.test(node["Node Type"]) ? (node["Relation Name"] ?? []) : []
      ),
      indexes: new Set(nodes(plan).flatMap((node) => node["Index Name"] ?? [])),
      scannedInside: [...after.keys()].filter((name) => after.get(name) !== before.get(name))
    })
  })
  // A failure rolls the transaction back.
  const rolledBack = Effect.flip(sql.withTransaction(run)).pipe(
    Effect.flatMap((found) => ("pages" in found ? Effect.succeed(found) : Effect.die(found)))
  )
  return yield* Effect.andThen(rolledBack, rolledBack)
})
