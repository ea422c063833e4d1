import { DateTime, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { Operator } from "../../../domain/Audit.ts"
import { type Pause, type PauseScope, scopeName } from "../../../domain/Pauses.ts"
import { tablesOf } from "../client/Tables.ts"
import { pauseWorkers as pauseFunction, resumeWorkers as resumeFunction } from "../functions/PauseWorkers.ts"

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

/** Stores a pause and its entry in the audit, with one call of the pause function. */
export const pauseWorkers = (sql: SqlClient.SqlClient, schema: string) => {
  const pauseCall = sql.literal(`"${schema}".${pauseFunction.name}`)
  return (pause: Pick<Pause, "type" | "group" | "reason" | "resumeAt">, { by, correlationId }: Operator) => {
    const resumeAt = pause.resumeAt === null ? null : DateTime.toDateUtc(pause.resumeAt)
    return sql`
    SELECT ${pauseCall}(${pause.type ?? ""}, ${pause.group ?? ""}, ${pause.reason}, ${resumeAt}::timestamptz, ${by}::text,
      ${scopeName(pause)}, ${correlationId}::text)`
  }
}

/** Deletes the pause of exactly this scope and writes the audit, with one call of the resume function. */
export const resumeWorkers = (sql: SqlClient.SqlClient, schema: string) => {
  const resume = sql.literal(`"${schema}".${resumeFunction.name}`)
  return (scope: PauseScope, { by, correlationId }: Operator) => sql`
    SELECT ${resume}(${scope.type ?? ""}, ${scope.group ?? ""}, ${by}::text, ${scopeName(scope)}, ${correlationId}::text)`
}

/** The pauses in force, oldest first. */
export const listPauses = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderPauses } = tablesOf(sql, schema)
  return Effect.map(
    sql<PauseRow>`SELECT * FROM ${orderPauses} WHERE resume_at IS NULL OR resume_at > ${now} ORDER BY since, type, group_name`,
    (rows) => rows.map(toPause)
  )
}
