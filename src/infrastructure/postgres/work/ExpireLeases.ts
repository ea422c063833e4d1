import type { SqlClient } from "effect/sql"
import { workerLost } from "../../../domain/Failure.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/**
 * Takes each order whose lease has ended away from its worker, which counts as a failed attempt. One
 * statement writes order, event and dead letter.
 */
export const expireLeases = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderEvents, orders } = tablesOf(sql, schema)
  const isLastAttempt = sql.literal("o.retry_count + 1 >= greatest(1, o.max_retries)")

  return (max: number) => sql<OrderRow>`
    WITH lost AS MATERIALIZED (
      SELECT id, worker FROM ${orders} WHERE status = 'PROCESSING' AND lease_until <= ${now}
      ORDER BY lease_until LIMIT ${max} FOR UPDATE SKIP LOCKED
    ), expired AS (
      UPDATE ${orders} AS o SET
        status = CASE WHEN ${isLastAttempt} THEN 'FAILED' ELSE 'PENDING' END,
        version = o.version + 1,
        retry_count = o.retry_count + 1,
        failure_reason = ${workerLost.reason},
        due_at = CASE WHEN ${isLastAttempt} THEN NULL ELSE ${now} END,
        worker = NULL,
        lease_until = NULL,
        updated_at = ${now}
      FROM lost WHERE o.id = lost.id
      RETURNING o.*, lost.worker AS lost_worker
    ), history AS (
      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt, worker, reason, reason_code)
      SELECT id, version, 'expired', 'PROCESSING', status, updated_at, retry_count, lost_worker, failure_reason, ${workerLost.reasonCode}
      FROM expired
    ), dead_lettered AS (
      INSERT INTO ${deadLetters} (order_id, reason, reason_code, retry_count, failed_at)
      SELECT id, failure_reason, ${workerLost.reasonCode}, retry_count, updated_at FROM expired WHERE status = 'FAILED'
    )
    SELECT * FROM expired`
}
