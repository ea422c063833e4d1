import { DateTime, Duration, Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { Backlog } from "../../../application/ports/OrderReads.ts"
import type { Stats } from "../../../domain/OrderQueries.ts"
import { dueRows } from "../client/DueRows.ts"
import { tablesOf } from "../client/Tables.ts"

/** The maximum count of orders that are not final, and of dead letters. */
const maxCounted = 100_000

/** The maximum count of orders in one final state. Above it the planner's estimate is used. */
const maxFinalCounted = 10_000

/**
 * Rates are measured over this time. If it contains `rateOrders` orders or more, rates are measured over the
 * last `rateOrders` of them.
 */
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

/** How long the oldest due order has waited, in milliseconds; null if none is due. */
const oldestDueAge = (sql: SqlClient.SqlClient, schema: string) => {
  const { now } = tablesOf(sql, schema)
  return sql`(
    SELECT (extract(epoch FROM ${now} - min(due_at)) * 1000)::float8
    FROM (${dueRows(sql, schema, sql`due_at`, sql`due_at <= ${now}`, 1)}) AS first
  )`
}

/** Counts rows up to a limit. */
const counted = (sql: SqlClient.SqlClient, source: Statement.Fragment, limit: number) =>
  sql`(SELECT count(*)::int FROM (${source} LIMIT ${limit}) AS counted)`

const pendingRows = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderDue, orderKeyWaiting } = tablesOf(sql, schema)
  return sql`SELECT FROM ${orderDue} UNION ALL SELECT FROM ${orderKeyWaiting}`
}

const ageOf = (millis: number | null) => (millis === null ? null : Duration.millis(Math.max(0, millis)))

/** Waiting and running orders, counted up to `maxCounted`. */
export const readBacklog = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderRunning } = tablesOf(sql, schema)
  return sql<{ pending: number; processing: number; oldest_due_age_ms: number | null }>`
    SELECT ${counted(sql, pendingRows(sql, schema), maxCounted)} AS pending,
      ${counted(sql, sql`SELECT FROM ${orderRunning}`, maxCounted)} AS processing,
      ${oldestDueAge(sql, schema)} AS oldest_due_age_ms`.pipe(
    Effect.map(([row]): Backlog => ({
      pending: row?.pending ?? 0,
      processing: row?.processing ?? 0,
      oldestDueAge: ageOf(row?.oldest_due_age_ms ?? null)
    }))
  )
}

/**
 * One row of figures of all orders. Every count uses an index and stops at a limit, so that the cost does not depend on
 * the size of the table.
 */
const statsStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderDue, orderFinal, orderRunning, orders } = tablesOf(sql, schema)
  const upTo = (source: Statement.Fragment, limit: number) => counted(sql, source, limit + 1)
  const final = (status: "PROCESSED" | "FAILED") =>
    // The ORDER BY matches the index; without it the planner may scan the table.
    upTo(
      sql`SELECT FROM ${orderFinal} WHERE status = ${sql.literal(`'${status}'`)} ORDER BY final_at`,
      maxFinalCounted
    )
  const recentRate = (column: string, source: Statement.Fragment) => sql`
    SELECT count(*) / CASE WHEN count(*) < ${rateOrders} THEN ${rateSeconds}::float8
      ELSE greatest(0.001, extract(epoch FROM ${now} - min(at))::float8) END AS rate
    FROM (
      SELECT ${sql.literal(column)} AS at FROM ${source} ${sql.literal(column)} > ${now} - ${rateSeconds}::float8 * interval '1 second'
      ORDER BY ${sql.literal(column)} DESC LIMIT ${rateOrders}
    ) AS latest`

  return sql<Row>`
    SELECT ${now} AS as_of,
      ${upTo(pendingRows(sql, schema), maxCounted)} AS pending,
      ${upTo(sql`SELECT FROM ${orderRunning}`, maxCounted)} AS processing,
      ${final("PROCESSED")} AS processed,
      ${final("FAILED")} AS failed,
      ${upTo(sql`SELECT FROM ${orderDue} WHERE is_retry`, maxCounted)} AS retrying,
      ${upTo(sql`SELECT FROM ${deadLetters}`, maxCounted)} AS dead_letters,
      ${oldestDueAge(sql, schema)} AS oldest_due_age_ms,
      created.rate AS created, completed.rate AS completed
    FROM (${recentRate("created_at", sql`${orders} WHERE`)}) AS created,
      (${recentRate("final_at", sql`${orderFinal} WHERE status = 'PROCESSED' AND`)}) AS completed`
}

const toStats = (row: Row, final: Readonly<Record<"PROCESSED" | "FAILED", number | undefined>>): Stats => ({
  byStatus: {
    PENDING: Math.min(row.pending, maxCounted),
    PROCESSING: Math.min(row.processing, maxCounted),
    PROCESSED: final.PROCESSED ?? row.processed,
    FAILED: final.FAILED ?? row.failed
  },
  estimated: (["PROCESSED", "FAILED"] as const).filter((status) => final[status] !== undefined),
  retrying: Math.min(row.retrying, maxCounted),
  deadLetters: Math.min(row.dead_letters, maxCounted),
  oldestDueAge: ageOf(row.oldest_due_age_ms),
  createdPerSecond: row.created,
  completedPerSecond: row.completed,
  asOf: DateTime.fromDateUnsafe(row.as_of),
  truncated: [row.pending, row.processing, row.retrying, row.dead_letters].some((count) => count > maxCounted)
})

/** The figures of all orders. A large number of final orders is not counted but estimated by the planner. */
export const readStats = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderFinal } = tablesOf(sql, schema)
  const statement = statsStatement(sql, schema)

  // The planner's estimate follows from the size of the table and the share of each status at the last ANALYZE.
  const estimateBeyond = Effect.fnUntraced(function* (counted: number, status: "PROCESSED" | "FAILED") {
    if (counted <= maxFinalCounted) return undefined
    const [row] = yield* sql<{ readonly "QUERY PLAN": ReadonlyArray<{ Plan: { "Plan Rows": number } }> }>`
      EXPLAIN (FORMAT JSON) SELECT FROM ${orderFinal} WHERE status = ${sql.literal(`'${status}'`)}`
    return Math.max(maxFinalCounted, row?.["QUERY PLAN"][0]?.Plan["Plan Rows"] ?? 0)
  })

  return Effect.gen(function* () {
    const [row] = yield* statement
    if (row === undefined) return yield* Effect.die("no row of figures")
    return toStats(row, {
      PROCESSED: yield* estimateBeyond(row.processed, "PROCESSED"),
      FAILED: yield* estimateBeyond(row.failed, "FAILED")
    })
  })
}
