import type { SqlClient } from "effect/sql"
import type { Operator } from "../../../domain/Audit.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"
import { enqueueParts } from "../client/EnqueueParts.ts"

/**
 * FAILED → PENDING: updates the order, adds the event, deletes the dead letter and writes the audit, in one statement.
 * An order with an ordering key gets a new place, after the others of its key. Returns the order, or no row if nothing
 * was changed.
 */
export const reprocessOrder = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderAudit, orderEvents, orderFinal, orders } = tablesOf(sql, schema)
  const enqueue = enqueueParts(sql, schema)

  return (id: OrderId, ifVersion: number | null, { by, correlationId }: Operator) => sql<OrderRow>`
    WITH reprocessed AS (
      UPDATE ${orders} SET status = 'PENDING', version = version + 1, retry_count = 0, failure_reason = NULL,
        reason_code = NULL, due_at = ${now}, updated_at = ${now},
        place = CASE WHEN ordering_key <> '' THEN ${enqueue.nextPlace} END
      WHERE id = ${id}::uuid AND status = 'FAILED' AND discarded_at IS NULL
        AND version = coalesce(${ifVersion}::int, version)
      RETURNING *
    ), history AS (
      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt)
      SELECT id, version, 'reprocessed', 'FAILED', 'PENDING', updated_at, 1 FROM reprocessed
    ), removed AS (
      DELETE FROM ${deadLetters} d USING reprocessed WHERE d.order_id = reprocessed.id
    ), no_longer_final AS (
      DELETE FROM ${orderFinal} f USING reprocessed r
      WHERE f.status = 'FAILED' AND f.created_at = r.created_at AND f.order_id = r.id
    ), ${enqueue.plain("reprocessed")}, ${enqueue.keyed("reprocessed")}, ${enqueue.laneChecks("reprocessed")}, audit AS (
      INSERT INTO ${orderAudit} (at, operator, action, subject, correlation_id)
      SELECT updated_at, ${by}::text, 'reprocess', id::text, ${correlationId}::text FROM reprocessed
    )
    SELECT * FROM reprocessed`
}
