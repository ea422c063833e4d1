import { Duration } from "effect"
import type { SqlClient } from "effect/sql"
import { workerLost } from "../../../domain/Order.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/** Renews the leases of a worker, and takes orders away from those that stopped renewing: one statement each. */
export const makeKeepLeases = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderEvents, orders } = tablesOf(sql, schema)

  // An order that is just being settled is locked, and so cannot be taken away: waiting for it, which may take as long
  // as the app's own writes, would cost the worker all its other leases.
  const renew = (worker: string, lease: Duration.Duration) => sql<
    Pick<OrderRow, "id" | "version" | "retry_count" | "updated_at"> & {
      readonly worker: string
      readonly lease_until: Date
    }
  >`
    WITH free AS MATERIALIZED (
      SELECT id FROM ${orders} WHERE status = 'PROCESSING' AND worker = ${worker} FOR NO KEY UPDATE SKIP LOCKED
    ), renewed AS (
      UPDATE ${orders} o SET lease_until = ${now} + ${Duration.toMillis(lease)}::float8 * interval '1 millisecond'
      FROM free WHERE o.id = free.id
      RETURNING o.id, o.lease_until
    )
    SELECT o.id, o.version, o.retry_count, o.worker, o.updated_at, coalesce(renewed.lease_until, o.lease_until) AS lease_until
    FROM ${orders} o LEFT JOIN renewed ON renewed.id = o.id
    WHERE o.status = 'PROCESSING' AND o.worker = ${worker}`

  const expire = (max: number) => sql<OrderRow>`
    WITH lost AS MATERIALIZED (
      SELECT id, worker FROM ${orders} WHERE status = 'PROCESSING' AND lease_until <= ${now}
      ORDER BY lease_until LIMIT ${max} FOR UPDATE SKIP LOCKED
    ), expired AS (
      UPDATE ${orders} AS o SET
        status = CASE WHEN o.retry_count + 1 >= greatest(1, o.max_retries) THEN 'FAILED' ELSE 'PENDING' END,
        version = o.version + 1,
        retry_count = o.retry_count + 1,
        failure_reason = ${workerLost.reason},
        due_at = CASE WHEN o.retry_count + 1 >= greatest(1, o.max_retries) THEN NULL ELSE ${now} END,
        worker = NULL,
        lease_until = NULL,
        updated_at = ${now}
      FROM lost WHERE o.id = lost.id
      RETURNING o.*, lost.worker AS lost_worker
    ), history AS (
      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt, worker, reason, reason_code)
      SELECT id, version, 'expired', 'PROCESSING', status, updated_at, retry_count, lost_worker, failure_reason, ${workerLost.reasonCode}
      FROM expired
    ), buried AS (
      INSERT INTO ${deadLetters} (order_id, reason, reason_code, retry_count, failed_at)
      SELECT id, failure_reason, ${workerLost.reasonCode}, retry_count, updated_at FROM expired WHERE status = 'FAILED'
    )
    SELECT * FROM expired`

  return { renew, expire }
}
