import { Duration } from "effect"
import type { SqlClient } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/**
 * Deletes final orders older than `age`; triggers delete their history, dead letters and metadata with them.
 * A try-lock admits one process at a time; the others delete nothing. Rows locked by other transactions, such
 * as a reprocess, are skipped.
 */
export const deleteOldOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderFinal, orders } = tablesOf(sql, schema)

  return (status: "PROCESSED" | "FAILED", age: Duration.Duration, max: number) => sql<{
    readonly deleted: number
  }>`
    WITH lock AS MATERIALIZED (
      SELECT pg_try_advisory_xact_lock(hashtextextended(${`order-platform retention of ${schema}`}, 0)) AS held
    ), old AS MATERIALIZED (
      SELECT o.id FROM (
        SELECT f.order_id, f.status, f.final_at FROM ${orderFinal} f
        WHERE (SELECT held FROM lock) AND f.status = ${sql.literal(`'${status}'`)}
          AND f.final_at < ${now} - ${Duration.toMillis(age)}::float8 * interval '1 millisecond'
        ORDER BY f.final_at
      ) f
      -- One search by the primary key for each: for a plain join the planner may scan both tables.
      CROSS JOIN LATERAL (
        SELECT o.id FROM ${orders} o WHERE o.id = f.order_id AND o.status = f.status FOR UPDATE SKIP LOCKED
      ) o
      LIMIT ${max}
    ), removed AS (
      DELETE FROM ${orders} o WHERE o.id = ANY (ARRAY (SELECT old.id FROM old)) RETURNING o.id
    )
    SELECT count(*)::int AS deleted FROM removed`
}
