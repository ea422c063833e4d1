import type { SqlClient } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/** Deletes idempotency keys that have expired; one row for each. By ctid: joined by key, the planner would scan the table. */
export const deleteExpiredKeys = (sql: SqlClient.SqlClient, schema: string) => {
  const { idempotencyKeys, now } = tablesOf(sql, schema)

  return (max: number) => sql`
    DELETE FROM ${idempotencyKeys} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM ${idempotencyKeys} WHERE expires_at <= ${now}
      ORDER BY expires_at LIMIT ${max} FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1`
}
