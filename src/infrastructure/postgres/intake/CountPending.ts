import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/** The rate is that of so many seconds, or of so many orders if they took less. */
const rateSeconds = 10
const rateOrders = 10_000

/**
 * Counts PENDING orders off an index, no further than one more than `max`; and only if they are more, at which rate
 * orders became final lately, off the end of another.
 */
export const makeCountPending = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orders } = tablesOf(sql, schema)

  return (max: number) =>
    Effect.map(
      sql<{ readonly pending: number; readonly drain: number | null }>`
        WITH counted AS MATERIALIZED (
          SELECT count(*)::int AS n FROM (SELECT FROM ${orders} WHERE status = 'PENDING' LIMIT ${max + 1}) AS pending
        )
        SELECT n AS pending, CASE WHEN n > ${max} THEN (
          SELECT count(*) / CASE WHEN count(*) < ${rateOrders} THEN ${rateSeconds}::float8
            ELSE greatest(0.001, extract(epoch FROM ${now} - min(updated_at))::float8) END
          FROM (
            SELECT updated_at FROM ${orders}
            WHERE status IN ('PROCESSED', 'FAILED') AND updated_at > ${now} - ${rateSeconds}::float8 * interval '1 second'
            ORDER BY updated_at DESC LIMIT ${rateOrders}
          ) AS latest
        ) END AS drain FROM counted`,
      ([row]) => ({ pending: row?.pending ?? 0, drainPerSecond: row?.drain ?? 0 })
    )
}
