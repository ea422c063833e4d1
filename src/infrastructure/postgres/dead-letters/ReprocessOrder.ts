import type { SqlClient } from "effect/sql"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/**
 * FAILED → PENDING: updates the order, adds the event and deletes the dead letter, in one statement. Returns the order,
 * or no row if nothing was changed.
 */
export const reprocessOrder = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderEvents, orders } = tablesOf(sql, schema)

  return (id: OrderId, ifVersion: number | null) => sql<OrderRow>`
    WITH reprocessed AS (
      UPDATE ${orders} SET status = 'PENDING', version = version + 1, retry_count = 0, failure_reason = NULL,
        due_at = ${now}, updated_at = ${now}
      WHERE id = ${id}::uuid AND status = 'FAILED' AND discarded_at IS NULL
        AND version = coalesce(${ifVersion}::int, version)
      RETURNING *
    ), history AS (
      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt)
      SELECT id, version, 'reprocessed', 'FAILED', 'PENDING', updated_at, 1 FROM reprocessed
    ), removed AS (
      DELETE FROM ${deadLetters} d USING reprocessed WHERE d.order_id = reprocessed.id
    )
    SELECT * FROM reprocessed`
}
