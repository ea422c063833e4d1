import type { SqlClient } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/**
 * Deletes expired idempotency keys and returns a row for each. It joins by ctid, because for a join by key the planner
 * would scan the table.
 */
export const deleteExpiredKeys = (sql: SqlClient.SqlClient, schema: string) => {
  const { idempotencyKeys, now } = tablesOf(sql, schema)

  return (max: number) => sql`
    DELETE FROM ${idempotencyKeys} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM ${idempotencyKeys} WHERE expires_at <= ${now}
      ORDER BY expires_at LIMIT ${max} FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1`
}
