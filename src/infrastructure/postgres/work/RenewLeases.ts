import { DateTime, Duration, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { Lease } from "../../../domain/Order.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

type LeaseRow = Pick<OrderRow, "id" | "version" | "retry_count" | "updated_at"> & {
  readonly worker: string
  readonly lease_until: Date
}

const toLease = (row: LeaseRow): Lease => ({
  id: row.id,
  version: row.version,
  retryCount: row.retry_count,
  worker: row.worker,
  updatedAt: DateTime.fromDateUnsafe(row.updated_at),
  leaseUntil: DateTime.fromDateUnsafe(row.lease_until)
})

/**
 * Extends every lease of a worker and returns all its leases, in one statement. An order that is locked, because
 * it is being settled, is skipped: its lease cannot expire while it is locked, and the other leases of the worker
 * could expire while this statement waits for the lock.
 */
export const renewStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orders } = tablesOf(sql, schema)
  return (worker: string, lease: Duration.Duration) => sql<LeaseRow>`
    WITH unlocked AS MATERIALIZED (
      SELECT id FROM ${orders} WHERE status = 'PROCESSING' AND worker = ${worker} FOR NO KEY UPDATE SKIP LOCKED
    ), renewed AS (
      UPDATE ${orders} o SET lease_until = ${now} + ${Duration.toMillis(lease)}::float8 * interval '1 millisecond'
      FROM unlocked WHERE o.id = unlocked.id
      RETURNING o.id, o.lease_until
    )
    SELECT o.id, o.version, o.retry_count, o.worker, o.updated_at, coalesce(renewed.lease_until, o.lease_until) AS lease_until
    FROM ${orders} o LEFT JOIN renewed ON renewed.id = o.id
    WHERE o.status = 'PROCESSING' AND o.worker = ${worker}`
}

export const renewLeases = (sql: SqlClient.SqlClient, schema: string) => {
  const renew = renewStatement(sql, schema)
  return (worker: string, lease: Duration.Duration) =>
    Effect.map(renew(worker, lease), (rows) => rows.map(toLease))
}
