import type { SqlClient } from "effect/sql"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/** Takes an order out of the dead letter queue, to run again or for good: entry, order and event in one statement. */
export const makeTakeDeadLetters = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderEvents, orders } = tablesOf(sql, schema)

  const reprocess = (id: OrderId, ifVersion: number | null) => sql<OrderRow>`
    WITH taken AS (
      UPDATE ${orders} SET status = 'PENDING', version = version + 1, retry_count = 0, failure_reason = NULL,
        due_at = ${now}, updated_at = ${now}
      WHERE id = ${id}::uuid AND status = 'FAILED' AND discarded_at IS NULL
        AND version = coalesce(${ifVersion}::int, version)
      RETURNING *
    ), history AS (
      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt)
      SELECT id, version, 'reprocessed', 'FAILED', 'PENDING', updated_at, 1 FROM taken
    ), exhumed AS (
      DELETE FROM ${deadLetters} d USING taken WHERE d.order_id = taken.id
    )
    SELECT * FROM taken`

  const discard = (id: OrderId, reason: string | null, ifVersion: number | null) => sql<OrderRow>`
    WITH discarded AS (
      UPDATE ${orders} SET version = version + 1, discarded_at = ${now}, updated_at = ${now}
      WHERE id = ${id}::uuid AND status = 'FAILED' AND discarded_at IS NULL
        AND version = coalesce(${ifVersion}::int, version)
      RETURNING *
    ), history AS (
      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt, reason)
      SELECT id, version, 'discarded', 'FAILED', 'FAILED', updated_at, retry_count, ${reason}::text FROM discarded
    ), exhumed AS (
      DELETE FROM ${deadLetters} d USING discarded WHERE d.order_id = discarded.id
    )
    SELECT * FROM discarded`

  return { reprocess, discard }
}
