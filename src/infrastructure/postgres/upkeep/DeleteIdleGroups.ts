import type { SqlClient } from "effect/sql"
import { tablesOf } from "../client/Tables.ts"

/**
 * Deletes the rows of groups that have no limits of their own and no lane, and that have started nothing for an hour.
 * Returns a row for each. A group with default limits gets a row again from its next claim. Rows that a claim has
 * locked are skipped.
 */
export const deleteIdleGroups = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderGroups, orderLanes } = tablesOf(sql, schema)
  return (max: number) => sql`
    DELETE FROM ${orderGroups} WHERE ctid = ANY (ARRAY (
      SELECT g.ctid FROM ${orderGroups} g
      WHERE NOT g.is_set AND (g.refilled_at IS NULL OR g.refilled_at <= ${now} - interval '1 hour')
        AND NOT EXISTS (SELECT FROM ${orderLanes} l WHERE l.group_name = g.group_name)
      LIMIT ${max} FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1`
}
