import type { DateTime } from "effect"
import { type AuditAction, type AuditEntry, type Operator, unnamedOperator } from "../../../domain/Audit.ts"

/** What operators did, oldest first. */
export const makeAuditLog = () => {
  const entries: Array<AuditEntry> = []

  return {
    entries: entries as ReadonlyArray<AuditEntry>,
    record: (
      action: AuditAction,
      subject: string,
      reason: string | null,
      operator: Operator | undefined,
      at: DateTime.Utc
    ) => {
      const { by, correlationId } = operator ?? unnamedOperator
      entries.push({ number: entries.length + 1, at, by, action, subject, reason, correlationId })
    }
  }
}
