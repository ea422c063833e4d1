import type { SqlClient } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/**
 * Deletes the failure groups without entries to which nothing was added for 30 days, and that were not marked as fixed
 * in that time. Returns a row for each. Rows that another transaction has locked are skipped.
 */
export const deleteIdleFailureGroups = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderFailureGroups } = tablesOf(sql, schema)
  return (max: number) => sql`
    DELETE FROM ${orderFailureGroups} WHERE ctid = ANY (ARRAY (
      SELECT g.ctid FROM ${orderFailureGroups} g
      WHERE g.count <= 0 AND g.last_seen <= ${now} - interval '30 days'
        AND (g.fixed_at IS NULL OR g.fixed_at <= ${now} - interval '30 days')
      ORDER BY g.last_seen LIMIT ${max} FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1`
}
