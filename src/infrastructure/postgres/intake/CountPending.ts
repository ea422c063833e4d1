import { Duration } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/** The rate is that of so many seconds, or of so many orders if they took less. */
const rateSeconds = 10
const rateOrders = 10_000

/** How far ahead the statement looks for the time at which there is room again. */
const horizon = Duration.hours(1)

/**
 * Counts PENDING orders by their index, each priority by a range of its own and never further than one more than `max`: of
 * orders that are due no entry of a scheduled order is read, and the other way round.
 */
export const makeCountPending = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orders } = tablesOf(sql, schema)

  const ofEachPriority = (columns: Statement.Fragment, condition: Statement.Fragment) => sql`
    generate_series(0, 9) AS each (priority), LATERAL (
      SELECT ${columns} FROM ${orders} o
      WHERE o.status = 'PENDING' AND o.priority = each.priority AND ${condition}
    ) AS pending`

  /** Due orders, and if there are more than `max`: at which rate orders became final lately, by another index. */
  const countDue = (max: number) => sql<{ readonly due: number; readonly drain: number | null }>`
    WITH counted AS MATERIALIZED (
      SELECT count(*)::int AS n FROM (
        SELECT FROM ${ofEachPriority(sql``, sql`o.due_at <= ${now}`)} LIMIT ${max + 1}
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

  /** Orders that wait for their time, and if there are more than `max`: the time until the next `room` of them are due. */
  const countScheduled = (max: number, room: number) => sql<{
    readonly scheduled: number
    readonly room_in_ms: number | null
  }>`
    WITH counted AS MATERIALIZED (
      SELECT count(*)::int AS n FROM (
        SELECT FROM ${ofEachPriority(sql``, sql`o.due_at > ${now}`)} LIMIT ${max + 1}
      ) AS scheduled
    )
    SELECT n AS scheduled, CASE WHEN n > ${max} THEN (
      SELECT 1000 * extract(epoch FROM due_at - ${now})::float8 FROM ${ofEachPriority(
        sql`o.due_at`,
        sql`o.due_at > ${now} AND o.due_at <= ${now} + ${Duration.toSeconds(horizon)}::float8 * interval '1 second'
          ORDER BY o.due_at LIMIT ${room}`
      )}
      ORDER BY due_at OFFSET ${room - 1} LIMIT 1
    ) END AS room_in_ms FROM counted`

  return { countDue, countScheduled }
}

/** The result of `countDue`. */
export const dueOf = ([row]: ReadonlyArray<{ readonly due: number; readonly drain: number | null }>) => ({
  due: row?.due ?? 0,
  drainPerSecond: row?.drain ?? 0
})

/** The result of `countScheduled`. */
export const scheduledOf = ([row]: ReadonlyArray<{
  readonly scheduled: number
  readonly room_in_ms: number | null
}>) => ({
  scheduled: row?.scheduled ?? 0,
  roomIn: row === undefined || row.room_in_ms === null ? Duration.infinity : Duration.millis(row.room_in_ms)
})
