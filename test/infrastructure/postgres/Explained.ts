import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"

interface Plan {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly Filter?: string
  readonly "Shared Hit Blocks": number
  readonly "Shared Read Blocks": number
  readonly Plans?: ReadonlyArray<Plan>
}
/**
 * The tables with a sequential scan. `stops`: the scan reads only the first rows up to a limit, without a condition, so
 * that the size of the table does not matter.
 */
const scansOf = (
  plan: Plan,
  stops = false
): ReadonlyArray<{ readonly table: string; readonly stops: boolean }> => {
  const type = plan["Node Type"]
  const table = /Seq Scan/.test(type) ? plan["Relation Name"] : undefined
  const passesOn = /Limit|Append|Result|Nested Loop|Subquery Scan/.test(type)
  return [
    ...(table === undefined ? [] : [{ table, stops: stops && plan.Filter === undefined }]),
    ...(plan.Plans ?? []).flatMap((each) => scansOf(each, passesOn && (stops || type === "Limit")))
  ]
}

const nodes = (plan: Plan): ReadonlyArray<Plan> => [plan, ...(plan.Plans ?? []).flatMap(nodes)]

/** How the database executed a statement. */
export interface Explained {
  /** The number of pages (8 KiB) that it read, including functions but not triggers. */
  readonly pages: number
  /** The tables with a sequential scan in its plan that a limit does not stop. */
  readonly scanned: ReadonlyArray<string>
  /** The indexes in its plan. */
  readonly indexes: ReadonlySet<string>
  /**
   * The same for everything that ran, including functions and triggers, by PostgreSQL's statistics. Scans that
   * a limit stops are recognized only in the plan.
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
  const scanCounts = Effect.map(
    sql<{ readonly name: string; readonly count: number }>`
      SELECT relname AS name, seq_scan::int AS count FROM pg_stat_xact_all_tables WHERE schemaname = ${schema}`,
    (rows) => new Map(rows.map(({ count, name }) => [name, count]))
  )
  const run = Effect.gen(function* () {
    const before = yield* scanCounts
    const [row] = yield* sql.unsafe<{ "QUERY PLAN": ReadonlyArray<{ readonly Plan: Plan }> }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
      parameters
    )
    // Run the deferred checks now.
    yield* sql`SET CONSTRAINTS ALL IMMEDIATE`
    const after = yield* scanCounts
    const plan = row?.["QUERY PLAN"][0]?.Plan
    assert(plan !== undefined)
    const scans = scansOf(plan)
    const stopping = scans.filter(({ stops }) => stops).map(({ table }) => table)
    return yield* Effect.fail<Explained>({
      pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
      scanned: scans.filter(({ stops }) => !stops).map(({ table }) => table),
      indexes: new Set(nodes(plan).flatMap((node) => node["Index Name"] ?? [])),
      scannedInside: [...after.keys()].filter(
        (name) => after.get(name) !== before.get(name) && !stopping.includes(name)
      )
    })
  })
  // A failure rolls the transaction back.
  const rolledBack = Effect.flip(sql.withTransaction(run)).pipe(
    Effect.flatMap((found) => ("pages" in found ? Effect.succeed(found) : Effect.die(found)))
  )
  return yield* Effect.andThen(rolledBack, rolledBack)
})

/** The statements that an effect executes, except those that only ask the planner. */
export const statementsOf = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const found: Array<Statement.Statement<unknown>> = []
  yield* Effect.provideService(effect, Statement.CurrentTransformer, (statement) =>
    Effect.sync(() => {
      if (!statement.compile()[0].trimStart().startsWith("EXPLAIN")) found.push(statement)
      return statement
    })
  )
  assert.isNotEmpty(found)
  return found
})

/**
 * Tables of few rows, which are read as a whole: what the next claim handles, the processes, and the pauses.
 */
export const shortTables = ["order_key_checks", "order_lane_checks", "order_workers", "order_pauses"]
