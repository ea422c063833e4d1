import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { Operator } from "../../../domain/Audit.ts"
import type { Group, GroupLimits } from "../../../domain/Groups.ts"
import { tablesOf } from "../client/Tables.ts"

interface GroupRow {
  readonly group_name: string
  readonly max_running: number | null
  readonly rate_per_second: number | null
  readonly max_pending: number | null
}

/**
 * Sets the limits of a group, writes the audit, and adds a check for the group's lanes, so that the next claim examines
 * them. A claim locks the group's row while it counts its running orders, and this statement waits for that claim.
 */
export const setGroupLimits = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderAudit, orderGroups, orderLaneChecks } = tablesOf(sql, schema)
  return (
    group: string,
    { maxPending, maxRunning, ratePerSecond }: GroupLimits,
    { by, correlationId }: Operator
  ) => sql`
    WITH limited AS (
      INSERT INTO ${orderGroups} (group_name, is_set, max_running, rate_per_second, max_pending)
      VALUES (${group}, true, ${maxRunning}::int, ${ratePerSecond}::float8, ${maxPending}::int)
      ON CONFLICT (group_name) DO UPDATE SET is_set = true, max_running = excluded.max_running,
        rate_per_second = excluded.rate_per_second, max_pending = excluded.max_pending
      RETURNING group_name
    ), checks AS (
      INSERT INTO ${orderLaneChecks} (group_name) SELECT group_name FROM limited
    )
    INSERT INTO ${orderAudit} (at, operator, action, subject, correlation_id)
    SELECT ${now}, ${by}::text, 'set group limits', 'group ' || group_name, ${correlationId}::text FROM limited`
}

/** Removes the limits set for a group, but keeps its row with its tokens. Returns a row if limits were set. */
export const deleteGroupLimits = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderAudit, orderGroups, orderLaneChecks } = tablesOf(sql, schema)
  return (group: string, { by, correlationId }: Operator) => sql`
    WITH unlimited AS (
      UPDATE ${orderGroups} SET is_set = false, max_running = NULL, rate_per_second = NULL, max_pending = NULL
      WHERE group_name = ${group} AND is_set RETURNING group_name
    ), checks AS (
      INSERT INTO ${orderLaneChecks} (group_name) SELECT group_name FROM unlimited
    )
    INSERT INTO ${orderAudit} (at, operator, action, subject, correlation_id)
    SELECT ${now}, ${by}::text, 'delete group limits', 'group ' || group_name, ${correlationId}::text FROM unlimited
    RETURNING number`
}

/** The groups for which limits were set, by name. */
export const listGroups = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderGroups } = tablesOf(sql, schema)
  return ({ after, limit }: { readonly limit: number; readonly after: string | null }) =>
    Effect.map(
      sql<GroupRow>`
      SELECT group_name, max_running, rate_per_second, max_pending FROM ${orderGroups}
      WHERE is_set AND group_name > ${after ?? ""} ORDER BY group_name LIMIT ${limit}`,
      (rows) =>
        rows.map((row): Group => ({
          group: row.group_name,
          maxRunning: row.max_running,
          ratePerSecond: row.rate_per_second,
          maxPending: row.max_pending
        }))
    )
}
