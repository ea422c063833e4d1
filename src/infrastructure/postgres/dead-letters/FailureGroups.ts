import { DateTime, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { Operator } from "../../../domain/Audit.ts"
import type { ReasonCode } from "../../../domain/Failure.ts"
import {
  type FailureGroup,
  type FailureGroupPosition,
  markName,
  stateOf
} from "../../../domain/FailureGroup.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { Page } from "../../../domain/OrderQueries.ts"
import { tablesOf } from "../client/Tables.ts"

interface FailureGroupRow {
  readonly fingerprint: string
  readonly type: string
  readonly reason_code: ReasonCode | null
  readonly message: string
  readonly count: number
  readonly first_seen: Date
  readonly last_seen: Date
  readonly versions: ReadonlyArray<string>
  readonly fixed_at: Date | null
  readonly has_regressed: boolean
  readonly sample_order_id: OrderId | null
  readonly read_at: Date
}

const toFailureGroup = (row: FailureGroupRow): FailureGroup => {
  const firstSeen = DateTime.fromDateUnsafe(row.first_seen)
  const fixedAt = row.fixed_at === null ? null : DateTime.fromDateUnsafe(row.fixed_at)
  return {
    fingerprint: row.fingerprint,
    reasonCode: row.reason_code,
    type: row.type,
    message: row.message,
    count: row.count,
    firstSeen,
    lastSeen: DateTime.fromDateUnsafe(row.last_seen),
    sampleOrderId: row.sample_order_id,
    versions: row.versions,
    state: stateOf(
      { firstSeen, fixedAt, hasRegressed: row.has_regressed },
      DateTime.fromDateUnsafe(row.read_at)
    )
  }
}

/** What a row of a group is read with: its newest entry, by one search of an index, and the time. */
const withSample = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now } = tablesOf(sql, schema)
  return {
    columns: sql`g.*, sample.order_id AS sample_order_id, ${now} AS read_at`,
    join: sql`LEFT JOIN LATERAL (
      SELECT d.order_id FROM ${deadLetters} d WHERE d.fingerprint = g.fingerprint
      ORDER BY d.failed_at DESC, d.order_id DESC LIMIT 1
    ) sample ON true`
  }
}

/** The groups that have entries, by an index on their count, which is negated so that one comparison finds the page. */
export const listFailureGroupsStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderFailureGroups } = tablesOf(sql, schema)
  const { columns, join } = withSample(sql, schema)
  return ({ after, limit }: Page<FailureGroupPosition>) => sql<FailureGroupRow>`
    SELECT ${columns} FROM (
      SELECT * FROM ${orderFailureGroups}
      WHERE count > 0 ${after === null ? sql`` : sql`AND (-count, fingerprint) > (-${after.count}::int, ${after.fingerprint})`}
      ORDER BY -count, fingerprint LIMIT ${limit}
    ) g ${join}
    ORDER BY -g.count, g.fingerprint`
}

export const listFailureGroups = (sql: SqlClient.SqlClient, schema: string) => {
  const list = listFailureGroupsStatement(sql, schema)
  return (page: Page<FailureGroupPosition>) => Effect.map(list(page), (rows) => rows.map(toFailureGroup))
}

/**
 * Marks a group as fixed and writes the audit, in one statement. Waits for settles that add entries to the group.
 * Returns the group; nothing if there is none.
 */
export const markFixed = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderAudit, orderFailureGroups } = tablesOf(sql, schema)
  const { columns, join } = withSample(sql, schema)
  return (
    fingerprint: string,
    version: string | null,
    reason: string | null,
    { by, correlationId }: Operator
  ) =>
    Effect.map(
      sql<FailureGroupRow>`
    WITH g AS (
      UPDATE ${orderFailureGroups} SET fixed_at = ${now}, fixed_version = ${version}::text, has_regressed = false
      WHERE fingerprint = ${fingerprint} RETURNING *
    ), audit AS (
      INSERT INTO ${orderAudit} (at, operator, action, subject, reason, correlation_id)
      SELECT fixed_at, ${by}::text, 'mark fixed', ${markName(fingerprint, version)}, ${reason}::text, ${correlationId}::text FROM g
    )
    SELECT ${columns} FROM g ${join}`,
      (rows) => rows.map(toFailureGroup)
    )
}
