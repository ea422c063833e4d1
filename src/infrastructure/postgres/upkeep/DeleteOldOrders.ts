import { Duration } from "effect"
import type { SqlClient } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/** Deletes final orders that are old enough, each whole: history, entry and metadata go with it by triggers. */
export const makeDeleteOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orders } = tablesOf(sql, schema)

  // One process at a time, or many would do the same work at the same moment: whoever finds another at it deletes none.
  // A row that somebody else is just changing, as a reprocess does, is passed over.
  const deleteOld = (status: "PROCESSED" | "FAILED", age: Duration.Duration, max: number) => sql<{
    readonly deleted: number
  }>`
    WITH turn AS MATERIALIZED (
      SELECT pg_try_advisory_xact_lock(hashtextextended(${`order-platform retention of ${schema}`}, 0)) AS mine
    ), old AS MATERIALIZED (
      SELECT id FROM ${orders}
      WHERE (SELECT mine FROM turn) AND status = ${sql.literal(`'${status}'`)}
        AND updated_at < ${now} - ${Duration.toMillis(age)}::float8 * interval '1 millisecond'
      ORDER BY updated_at LIMIT ${max} FOR UPDATE SKIP LOCKED
    ), gone AS (
      DELETE FROM ${orders} o WHERE o.id = ANY (ARRAY (SELECT old.id FROM old)) RETURNING o.id
    )
    SELECT count(*)::int AS deleted FROM gone`

  return { deleteOld }
}
