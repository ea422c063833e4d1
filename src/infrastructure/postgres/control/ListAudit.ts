import { DateTime, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { AuditAction, AuditEntry } from "../../../domain/Audit.ts"
import { tablesOf } from "../client/Tables.ts"

interface AuditRow {
  readonly number: bigint | string | number
  readonly at: Date
  readonly operator: string | null
  readonly action: AuditAction
  readonly subject: string
  readonly reason: string | null
  readonly correlation_id: string | null
}

/** The entries of the audit, newest first. */
export const listAudit = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderAudit } = tablesOf(sql, schema)
  return ({ before, limit }: { readonly limit: number; readonly before: number | null }) =>
    Effect.map(
      sql<AuditRow>`
      SELECT * FROM ${orderAudit} WHERE number < coalesce(${before}::float8::bigint, 9223372036854775807)
      ORDER BY number DESC LIMIT ${limit}`,
      (rows) =>
        rows.map((row): AuditEntry => ({
          number: Number(row.number),
          at: DateTime.fromDateUnsafe(row.at),
          by: row.operator,
          action: row.action,
          subject: row.subject,
          reason: row.reason,
          correlationId: row.correlation_id
        }))
    )
}
