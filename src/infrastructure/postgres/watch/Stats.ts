import { DateTime, Duration, Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { Stats } from "../../../domain/OrderQueries.ts"
import { OrderStatus } from "../../../domain/OrderStatus.ts"

/** What is not final, and the dead letters, are counted up to here. */
const maxCounted = 100_000

/** Final states are counted up to here; there may be any number of them, so beyond it the planner's estimate does. */
const maxFinalCounted = 10_000

/** Rates are those of so many seconds, or of so many orders if they took less. */
const rateSeconds = 10
const rateOrders = 10_000

interface Row {
  readonly as_of: Date
  readonly pending: number
  readonly processing: number
  readonly processed: number
  readonly failed: number
  readonly retrying: number
  readonly dead_letters: number
  readonly created: number
  readonly completed: number
  readonly oldest_due_age_ms: number | null
}

/** The figures of all orders: every count is off an index and ends at a limit, so that it costs the same for any table. */
export const makeStoreStats = (
  sql: SqlClient.SqlClient,
  schema: string,
  now: Statement.Fragment,
  oldestDueAge: Statement.Fragment
) => {
  const orders = sql(`${schema}.orders`)
  const counted = (source: Statement.Fragment, limit: number) =>
    sql`(SELECT count(*)::int FROM (SELECT FROM ${source} LIMIT ${limit + 1}) AS counted)`
  const inStatus = (status: OrderStatus, limit: number) =>
    counted(sql`${orders} WHERE status = ${sql.literal(`'${status}'`)}`, limit)
  const lately = (column: string, source: Statement.Fragment) => sql`
    SELECT count(*) / CASE WHEN count(*) < ${rateOrders} THEN ${rateSeconds}::float8
      ELSE greatest(0.001, extract(epoch FROM ${now} - min(at))::float8) END AS rate
    FROM (
      SELECT ${sql.literal(column)} AS at FROM ${source} AND ${sql.literal(column)} > ${now} - ${rateSeconds}::float8 * interval '1 second'
      ORDER BY ${sql.literal(column)} DESC LIMIT ${rateOrders}
    ) AS latest`

  const statement = sql<Row>`
    SELECT ${now} AS as_of,
      ${inStatus("PENDING", maxCounted)} AS pending,
      ${inStatus("PROCESSING", maxCounted)} AS processing,
      ${inStatus("PROCESSED", maxFinalCounted)} AS processed,
      ${inStatus("FAILED", maxFinalCounted)} AS failed,
      ${counted(sql`${orders} WHERE retry_count > 0 AND due_at IS NOT NULL AND worker IS NULL`, maxCounted)} AS retrying,
      ${counted(sql`${sql(`${schema}.dead_letters`)}`, maxCounted)} AS dead_letters,
      ${oldestDueAge} AS oldest_due_age_ms,
      created.rate AS created, completed.rate AS completed
    FROM (
      SELECT sum(each.rate) AS rate
      FROM (${sql.join(
        " UNION ALL ",
        false
      )(
        OrderStatus.literals.map((status) =>
          lately("created_at", sql`${orders} WHERE status = ${sql.literal(`'${status}'`)}`)
        )
      )}) AS each
    ) AS created,
    (${lately("updated_at", sql`${orders} WHERE status = 'PROCESSED'`)}) AS completed`

  // The planner knows the table's size and how frequent each status is, as of the last analyze.
  const estimate = Effect.fnUntraced(function* (status: "PROCESSED" | "FAILED") {
    const [row] = yield* sql<{ readonly "QUERY PLAN": ReadonlyArray<{ Plan: { "Plan Rows": number } }> }>`
      EXPLAIN (FORMAT JSON) SELECT FROM ${orders} WHERE status = ${sql.literal(`'${status}'`)}`
    return Math.max(maxFinalCounted, row?.["QUERY PLAN"][0]?.Plan["Plan Rows"] ?? 0)
  })

  return Effect.gen(function* () {
    const [row] = yield* statement
    if (row === undefined) return yield* Effect.die("no row of figures")
    const estimated = (["PROCESSED", "FAILED"] as const).filter(
      (status) => (status === "FAILED" ? row.failed : row.processed) > maxFinalCounted
    )
    const [processed = row.processed, failed = row.failed] = [
      estimated.includes("PROCESSED") ? yield* estimate("PROCESSED") : undefined,
      estimated.includes("FAILED") ? yield* estimate("FAILED") : undefined
    ]
    const upTo = (count: number) => Math.min(count, maxCounted)
    return {
      byStatus: {
        PENDING: upTo(row.pending),
        PROCESSING: upTo(row.processing),
        PROCESSED: processed,
        FAILED: failed
      },
      estimated,
      retrying: upTo(row.retrying),
      deadLetters: upTo(row.dead_letters),
      oldestDueAge:
        row.oldest_due_age_ms === null ? null : Duration.millis(Math.max(0, row.oldest_due_age_ms)),
      createdPerSecond: row.created,
      completedPerSecond: row.completed,
      asOf: DateTime.fromDateUnsafe(row.as_of),
      truncated: [row.pending, row.processing, row.retrying, row.dead_letters].some(
        (count) => count > maxCounted
      )
    } satisfies Stats
  })
}
