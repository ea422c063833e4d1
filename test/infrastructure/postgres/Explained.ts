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

/** How the database carried a statement out. */
export interface Explained {
  /** How many pages (8 KiB) it touched, functions that it calls included, triggers not. */
  readonly pages: number
  /** Tables that its plan reads whole. */
  readonly scanned: ReadonlyArray<string>
  /** The indexes in its plan. */
  readonly indexes: ReadonlySet<string>
  /** Tables of ours that were scanned whole while it ran: inside functions and triggers too, by PostgreSQL's own count. */
  readonly scannedInside: ReadonlyArray<string>
}

/**
 * Carries the statement out, says how, and takes it back. The plan is the statement's own; what functions and triggers
 * do is not in it, so it is seen by what PostgreSQL counts for a transaction.
 */
export const explained = Effect.fnUntraced(function* (statement: Statement.Statement<unknown>) {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const [text, parameters] = statement.compile()
  // May hold scans of transactions before that were not reported yet: so the difference counts.
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
    // What is checked at the commit is checked now.
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
  // Failing is how a transaction is taken back.
  return yield* Effect.flip(sql.withTransaction(run)).pipe(
    Effect.flatMap((found) => ("pages" in found ? Effect.succeed(found) : Effect.die(found)))
  )
})
