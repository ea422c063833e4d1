import { Duration, Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/**
 * The drain rate is measured over this time, or over the last `rateOrders` orders if they became final in
 * less time.
 */
const rateSeconds = 10
const rateOrders = 10_000

/** How far ahead `countScheduled` searches for the time at which `room` orders have become due. */
const horizon = Duration.hours(1)

/**
 * Columns of PENDING orders that meet a condition, up to a limit per priority. One index scan per priority
 * reads only entries that meet the condition. The ORDER BY matches the index; without it the planner may scan
 * the table.
 */
const pendingOrders = (
  sql: SqlClient.SqlClient,
  schema: string,
  columns: Statement.Fragment,
  condition: Statement.Fragment,
  limit: number
) => sql`
  generate_series(0, 9) AS each (priority), LATERAL (
    SELECT ${columns} FROM ${sql(`${schema}.orders`)} o
    WHERE o.status = 'PENDING' AND o.priority = each.priority AND ${condition}
    ORDER BY o.due_at, o.id LIMIT ${limit}
  ) AS pending`

/**
 * Due orders, counted up to `max + 1`. If there are more than `max`, also the recent rate at which orders became final.
 */
export const countDueStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orders } = tablesOf(sql, schema)
  return (max: number) => sql<{ readonly due: number; readonly drain: number | null }>`
    WITH counted AS MATERIALIZED (
      SELECT count(*)::int AS n FROM (
        SELECT FROM ${pendingOrders(sql, schema, sql``, sql`o.due_at <= ${now}`, max + 1)} LIMIT ${max + 1}
      ) AS due
    )
    SELECT n AS due, CASE WHEN n > ${max} THEN (
      SELECT count(*) / CASE WHEN count(*) < ${rateOrders} THEN ${rateSeconds}::float8
        ELSE greatest(0.001, extract(epoch FROM ${now} - min(updated_at))::float8) END
      FROM (
        SELECT updated_at FROM ${orders}
        WHERE status IN ('PROCESSED', 'FAILED') AND updated_at > ${now} - ${rateSeconds}::float8 * interval '1 second'
        ORDER BY updated_at DESC LIMIT ${rateOrders}
      ) AS latest
    ) END AS drain FROM counted`
}

/**
 * Scheduled orders, counted up to `max + 1`. If there are more than `max`, also the time until `room` of them
 * have become due.
 */
export const countScheduledStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now } = tablesOf(sql, schema)
  const scheduled = sql`o.due_at > ${now}`
  return (max: number, room: number) => sql<{
    readonly scheduled: number
    readonly room_in_ms: number | null
  }>`
    WITH counted AS MATERIALIZED (
      SELECT count(*)::int AS n FROM (
        SELECT FROM ${pendingOrders(sql, schema, sql``, scheduled, max + 1)} LIMIT ${max + 1}
      ) AS scheduled
    )
    SELECT n AS scheduled, CASE WHEN n > ${max} THEN (
      SELECT 1000 * extract(epoch FROM due_at - ${now})::float8 FROM ${pendingOrders(
        sql,
        schema,
        sql`o.due_at`,
        sql`${scheduled} AND o.due_at <= ${now} + ${Duration.toSeconds(horizon)}::float8 * interval '1 second'`,
        room
      )}
      ORDER BY due_at OFFSET ${room - 1} LIMIT 1
    ) END AS room_in_ms FROM counted`
}

export const countDue = (sql: SqlClient.SqlClient, schema: string) => {
  const count = countDueStatement(sql, schema)
  return (max: number) =>
    Effect.map(count(max), ([row]) => ({ due: row?.due ?? 0, drainPerSecond: row?.drain ?? 0 }))
}

export const countScheduled = (sql: SqlClient.SqlClient, schema: string) => {
  const count = countScheduledStatement(sql, schema)
  return (max: number, room: number) =>
    Effect.map(count(max, room), ([row]) => ({
      scheduled: row?.scheduled ?? 0,
      roomIn:
        row === undefined || row.room_in_ms === null ? Duration.infinity : Duration.millis(row.room_in_ms)
    }))
}
