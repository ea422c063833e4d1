import { DateTime, Duration, Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { Backlog } from "../../../application/ports/OrderReads.ts"
import type { Stats } from "../../../domain/OrderQueries.ts"
import { OrderStatus } from "../../../domain/OrderStatus.ts"
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

/** How long the oldest due order has waited since it became due, in milliseconds; null if none is due. */
const oldestDueAge = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orders } = tablesOf(sql, schema)
  return sql`(
    SELECT (extract(epoch FROM ${now} - min(first.due_at)) * 1000)::float8
    FROM generate_series(0, 9) AS each (priority)
    CROSS JOIN LATERAL (
      SELECT due_at FROM ${orders} o WHERE o.status = 'PENDING' AND o.priority = each.priority AND o.due_at <= ${now}
      ORDER BY o.due_at, o.id LIMIT 1
    ) first
  )`
}

const ageOf = (millis: number | null) => (millis === null ? null : Duration.millis(Math.max(0, millis)))

/** Waiting and running orders, counted by an index up to `maxCounted`. */
export const readBacklog = (sql: SqlClient.SqlClient, schema: string) => {
  const { orders } = tablesOf(sql, schema)
  const count = (status: string) =>
    sql`(SELECT count(*)::int FROM (SELECT FROM ${orders} WHERE status = ${sql.literal(`'${status}'`)} LIMIT ${maxCounted}) AS counted)`
  return sql<{ pending: number; processing: number; oldest_due_age_ms: number | null }>`
    SELECT ${count("PENDING")} AS pending, ${count("PROCESSING")} AS processing,
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
  const { deadLetters, now, orders } = tablesOf(sql, schema)
  const counted = (source: Statement.Fragment, limit: number) =>
    sql`(SELECT count(*)::int FROM (SELECT FROM ${source} LIMIT ${limit + 1}) AS counted)`
  const inStatus = (status: OrderStatus, limit: number) =>
    counted(sql`${orders} WHERE status = ${sql.literal(`'${status}'`)}`, limit)
  const recentRate = (column: string, source: Statement.Fragment) => sql`
    SELECT count(*) / CASE WHEN count(*) < ${rateOrders} THEN ${rateSeconds}::float8
      ELSE greatest(0.001, extract(epoch FROM ${now} - min(at))::float8) END AS rate
    FROM (
      SELECT ${sql.literal(column)} AS at FROM ${source} AND ${sql.literal(column)} > ${now} - ${rateSeconds}::float8 * interval '1 second'
      ORDER BY ${sql.literal(column)} DESC LIMIT ${rateOrders}
    ) AS latest`

  return sql<Row>`
    SELECT ${now} AS as_of,
      ${inStatus("PENDING", maxCounted)} AS pending,
      ${inStatus("PROCESSING", maxCounted)} AS processing,
      ${inStatus("PROCESSED", maxFinalCounted)} AS processed,
      ${inStatus("FAILED", maxFinalCounted)} AS failed,
      ${counted(sql`${orders} WHERE retry_count > 0 AND due_at IS NOT NULL AND worker IS NULL`, maxCounted)} AS retrying,
      ${counted(sql`${deadLetters}`, maxCounted)} AS dead_letters,
      ${oldestDueAge(sql, schema)} AS oldest_due_age_ms,
      created.rate AS created, completed.rate AS completed
    FROM (
      SELECT sum(each.rate) AS rate
      FROM (${sql.join(
        " UNION ALL ",
        false
      )(
        OrderStatus.literals.map((status) =>
          recentRate("created_at", sql`${orders} WHERE status = ${sql.literal(`'${status}'`)}`)
        )
      )}) AS each
    ) AS created,
    (${recentRate("updated_at", sql`${orders} WHERE status = 'PROCESSED'`)}) AS completed`
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
  const { orders } = tablesOf(sql, schema)
  const statement = statsStatement(sql, schema)

  // The planner's estimate follows from the size of the table and the share of each status at the last ANALYZE.
  const estimateBeyond = Effect.fnUntraced(function* (counted: number, status: "PROCESSED" | "FAILED") {
    if (counted <= maxFinalCounted) return undefined
    const [row] = yield* sql<{ readonly "QUERY PLAN": ReadonlyArray<{ Plan: { "Plan Rows": number } }> }>`
      EXPLAIN (FORMAT JSON) SELECT FROM ${orders} WHERE status = ${sql.literal(`'${status}'`)}`
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
