import { DateTime, Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { Operator } from "../../../domain/Audit.ts"
import { type Pause, type PauseScope, scopeName } from "../../../domain/Pauses.ts"
import { tablesOf } from "../client/Tables.ts"

interface PauseRow {
  readonly type: string
  readonly group_name: string
  readonly reason: string
  readonly operator: string | null
  readonly since: Date
  readonly resume_at: Date | null
}

const orNull = (text: string) => (text === "" ? null : text)

/** The pause that a row holds. */
export const toPause = (row: PauseRow): Pause => ({
  type: orNull(row.type),
  group: orNull(row.group_name),
  reason: row.reason,
  by: row.operator,
  since: DateTime.fromDateUnsafe(row.since),
  resumeAt: row.resume_at === null ? null : DateTime.fromDateUnsafe(row.resume_at)
})

/**
 * Makes the lanes ready that a pause of this scope may have blocked, so that the next claims look at them. All of them, since a
 * claim that is about to mark a lane as blocked has locked it: this statement waits for that claim. A pause of everything
 * blocks no lane, because claims then look at none.
 */
const openLanes = (
  sql: SqlClient.SqlClient,
  orderLanes: Statement.Identifier,
  { group, type }: PauseScope,
  condition: Statement.Fragment
) => sql`
  UPDATE ${orderLanes} l SET ready = true, wake_at = NULL
  FROM (
    SELECT l.priority, l.group_name, l.type FROM ${orderLanes} l
    WHERE ${type ?? ""} IN ('', l.type) AND ${group ?? ""} IN ('', l.group_name)
      AND (${type ?? ""} <> '' OR ${group ?? ""} <> '') AND ${condition}
    ORDER BY l.priority, l.group_name, l.type FOR UPDATE
  ) blocked
  WHERE l.priority = blocked.priority AND l.group_name = blocked.group_name AND l.type = blocked.type`

/**
 * Stores a pause and its entry in the audit. Claims read the pauses; only where a pause is replaced, by one that may end
 * earlier, must the lanes be looked at again.
 */
export const pauseWorkers = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderAudit, orderLanes, orderPauses } = tablesOf(sql, schema)
  return (pause: Pick<Pause, "type" | "group" | "reason" | "resumeAt">, { by, correlationId }: Operator) => {
    const resumeAt = pause.resumeAt === null ? null : DateTime.toDateUtc(pause.resumeAt)
    const [type, group] = [pause.type ?? "", pause.group ?? ""]
    return sql`
    WITH paused AS (
      INSERT INTO ${orderPauses} AS p (type, group_name, reason, operator, since, resume_at)
      VALUES (${type}, ${group}, ${pause.reason}, ${by}, ${now}, ${resumeAt}::timestamptz)
      ON CONFLICT (type, group_name) DO UPDATE SET reason = excluded.reason, operator = excluded.operator,
        resume_at = excluded.resume_at,
        since = CASE WHEN p.resume_at <= ${now} THEN excluded.since ELSE p.since END
    ), open AS (
      ${openLanes(
        sql,
        orderLanes,
        pause,
        sql`EXISTS (SELECT FROM ${orderPauses} p WHERE p.type = ${type} AND p.group_name = ${group})`
      )}
    )
    INSERT INTO ${orderAudit} (at, operator, action, subject, reason, correlation_id)
    VALUES (${now}, ${by}, 'pause', ${scopeName(pause)}, ${pause.reason}, ${correlationId})`
  }
}

/** Deletes the pause of exactly this scope, writes the audit, and makes the lanes ready that it may have blocked. */
export const resumeWorkers = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderAudit, orderLanes, orderPauses } = tablesOf(sql, schema)
  return (scope: PauseScope, { by, correlationId }: Operator) => sql`
    WITH resumed AS (
      DELETE FROM ${orderPauses} WHERE type = ${scope.type ?? ""} AND group_name = ${scope.group ?? ""} RETURNING resume_at
    ), open AS (
      ${openLanes(sql, orderLanes, scope, sql`EXISTS (SELECT FROM resumed)`)}
    )
    INSERT INTO ${orderAudit} (at, operator, action, subject, correlation_id)
    SELECT ${now}, ${by}::text, 'resume', ${scopeName(scope)}, ${correlationId}::text FROM resumed
    WHERE resume_at IS NULL OR resume_at > ${now}`
}

/** The pauses in force, oldest first. */
export const listPauses = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderPauses } = tablesOf(sql, schema)
  return Effect.map(
    sql<PauseRow>`SELECT * FROM ${orderPauses} WHERE resume_at IS NULL OR resume_at > ${now} ORDER BY since, type, group_name`,
    (rows) => rows.map(toPause)
  )
}
