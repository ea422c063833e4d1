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
      SELECT o.id FROM ${orderFinal} f JOIN ${orders} o ON o.id = f.order_id AND o.status = f.status
      WHERE (SELECT held FROM lock) AND f.status = ${sql.literal(`'${status}'`)}
        AND f.final_at < ${now} - ${Duration.toMillis(age)}::float8 * interval '1 millisecond'
      ORDER BY f.final_at LIMIT ${max} FOR UPDATE OF o SKIP LOCKED
    ), removed AS (
      DELETE FROM ${orders} o WHERE o.id = ANY (ARRAY (SELECT old.id FROM old)) RETURNING o.id
    )
    SELECT count(*)::int AS deleted FROM removed`
}
