import type { SqlClient } from "effect/sql"
import type { Operator } from "../../../domain/Audit.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/**
 * Deletes the dead letter, sets `discarded_at` of the order, which stays FAILED, adds the event and writes the
 * audit, in one statement.
 * Returns the order, or no row if nothing was changed.
 */
export const discardOrder = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderAudit, orderEvents, orderFinal, orders } = tablesOf(sql, schema)

  return (
    id: OrderId,
    reason: string | null,
    ifVersion: number | null,
    { by, correlationId }: Operator
  ) => sql<OrderRow>`
    WITH discarded AS (
      UPDATE ${orders} SET version = version + 1, discarded_at = ${now}, updated_at = ${now}
      WHERE id = ${id}::uuid AND status = 'FAILED' AND discarded_at IS NULL
        AND version = coalesce(${ifVersion}::int, version)
      RETURNING *
    ), history AS (
      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt, reason)
      SELECT id, version, 'discarded', 'FAILED', 'FAILED', updated_at, retry_count, ${reason}::text FROM discarded
    ), removed AS (
      DELETE FROM ${deadLetters} d USING discarded WHERE d.order_id = discarded.id
    ), final AS (
      UPDATE ${orderFinal} f SET final_at = d.updated_at FROM discarded d
      WHERE f.status = 'FAILED' AND f.created_at = d.created_at AND f.order_id = d.id
    ), audit AS (
      INSERT INTO ${orderAudit} (at, operator, action, subject, reason, correlation_id)
      SELECT updated_at, ${by}::text, 'discard', id::text, ${reason}::text, ${correlationId}::text FROM discarded
    )
    SELECT * FROM discarded`
}
