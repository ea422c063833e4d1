import { Duration, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { texts } from "../client/Columns.ts"
import { dueRows } from "../client/DueRows.ts"
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
 * Due orders and orders that wait behind another of their key, counted up to `max + 1`. If there are more than `max`,
 * also the recent rate at which orders became final.
 */
export const countDueStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderFinal, orderKeyWaiting } = tablesOf(sql, schema)
  const latest = (status: "PROCESSED" | "FAILED") => sql`(
    SELECT final_at FROM ${orderFinal}
    WHERE status = ${sql.literal(`'${status}'`)} AND final_at > ${now} - ${rateSeconds}::float8 * interval '1 second'
    ORDER BY final_at DESC LIMIT ${rateOrders})`
  return (max: number) => sql<{ readonly due: number; readonly drain: number | null }>`
    WITH counted AS MATERIALIZED (
      SELECT count(*)::int AS n FROM (
        (${dueRows(sql, schema, sql``, sql`due_at <= ${now}`, max + 1)})
        UNION ALL
        (SELECT FROM ${orderKeyWaiting} LIMIT ${max + 1})
        LIMIT ${max + 1}
      ) AS due
    )
    SELECT n AS due, CASE WHEN n > ${max} THEN (
      SELECT count(*) / CASE WHEN count(*) < ${rateOrders} THEN ${rateSeconds}::float8
        ELSE greatest(0.001, extract(epoch FROM ${now} - min(final_at))::float8) END
      FROM (
        SELECT final_at FROM (${latest("PROCESSED")} UNION ALL ${latest("FAILED")}) AS final
        ORDER BY final_at DESC LIMIT ${rateOrders}
      ) AS latest
    ) END AS drain FROM counted`
}

/**
 * Scheduled orders, counted up to `max + 1`. If there are more than `max`, also the time until `room` of them
 * have become due.
 */
export const countScheduledStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now } = tablesOf(sql, schema)
  return (max: number, room: number) => sql<{
    readonly scheduled: number
    readonly room_in_ms: number | null
  }>`
    WITH counted AS MATERIALIZED (
      SELECT count(*)::int AS n FROM (
        SELECT FROM (${dueRows(sql, schema, sql``, sql`due_at > ${now}`, max + 1)}) AS each LIMIT ${max + 1}
      ) AS scheduled
    )
    SELECT n AS scheduled, CASE WHEN n > ${max} THEN (
      SELECT 1000 * extract(epoch FROM due_at - ${now})::float8 FROM (${dueRows(
        sql,
        schema,
        sql`due_at`,
        sql`due_at > ${now} AND due_at <= ${now} + ${Duration.toSeconds(horizon)}::float8 * interval '1 second'`,
        room
      )}) AS first
      ORDER BY due_at OFFSET ${room - 1} LIMIT 1
    ) END AS room_in_ms FROM counted`
}

/** The PENDING orders of groups with a limit, counted up to `max + 1`, where `max` is the limit of the group. */
export const countPendingOfGroups = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderDue, orderGroups, orderKeyWaiting } = tablesOf(sql, schema)
  return (groups: ReadonlyArray<string>, defaultMax: number | null) =>
    sql<{ readonly group: string; readonly pending: number; readonly maxPending: number }>`
    SELECT l.group_name AS group, l.max_pending AS "maxPending", (
      SELECT count(*)::int FROM (
        SELECT FROM generate_series(0, 9) AS each (priority) CROSS JOIN LATERAL (
          SELECT FROM ${orderDue} d WHERE d.priority = each.priority AND d.group_name = l.group_name
          LIMIT l.max_pending + 1
        ) due
        UNION ALL
        (SELECT FROM ${orderKeyWaiting} w
        WHERE w.group_name = l.group_name AND w.group_name <> '' LIMIT l.max_pending + 1)
        LIMIT l.max_pending + 1
      ) AS counted
    ) AS pending
    FROM (
      SELECT n.name AS group_name, coalesce(g.max_pending, ${defaultMax}::int) AS max_pending
      FROM unnest(${texts(groups)}::text[]) AS n (name)
      LEFT JOIN ${orderGroups} g ON g.group_name = n.name
    ) l WHERE l.max_pending IS NOT NULL`
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
