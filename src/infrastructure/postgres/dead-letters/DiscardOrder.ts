import type { SqlClient } from "effect/sql"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/**
 * Deletes the dead letter, sets `discarded_at` of the order, which stays FAILED, and adds the event, in one statement.
 * Returns the order, or no row if nothing was changed.
 */
export const discardOrder = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderEvents, orders } = tablesOf(sql, schema)

  return (id: OrderId, reason: string | null, ifVersion: number | null) => sql<OrderRow>`
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
    )
    SELECT * FROM discarded`
}
