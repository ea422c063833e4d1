import type { DateTime } from "effect"

/** Who asked for a change, as recorded in the audit. */
export interface Operator {
  /** The name of the caller's key; null if the server has no keys, or for an embedding app that gives no name. */
  readonly by: string | null
  readonly correlationId: string | null
}

/** The operator of a call that names none. */
export const unnamedOperator: Operator = { by: null, correlationId: null }

/** The changes that the audit records. */
export type AuditAction =
  | "reprocess"
  | "discard"
  | "run"
  | "pause"
  | "resume"
  | "set group limits"
  | "delete group limits"
  | "mark fixed"

/** One change by an operator, written in the transaction of the change. */
export interface AuditEntry extends Operator {
  /** Counts the entries: a later entry has a higher number. */
  readonly number: number
  readonly at: DateTime.Utc
  readonly action: AuditAction
  /**
   * What was changed: an order's id, `group NAME`, the scope of a pause, or `failure group FINGERPRINT` with the version
   * of its fix.
   */
  readonly subject: string
  readonly reason: string | null
}
