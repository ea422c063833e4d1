import { Duration } from "effect"
import type { SqlClient } from "effect/sql"
import type { Settlement, SettleResult } from "../../application/ports/OrderRepository.ts"
import { attemptOf } from "../../domain/Order.ts"
import { integers, milliseconds, texts, uuids } from "./Columns.ts"
import { tablesOf } from "./Tables.ts"

/** Writes the outcomes of attempts, each fenced by the version it was started with: one statement a group. */
export const makeSettleOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderEvents, orders } = tablesOf(sql, schema)

  const settle = (settlements: ReadonlyArray<Settlement>) => sql<{ readonly result: SettleResult }>`
    WITH outcome AS (
      SELECT * FROM unnest(
        ${uuids(settlements.map(({ order }) => order.id))}::uuid[],
        ${integers(settlements.map(({ order }) => order.version))}::int[],
        ${integers(settlements.map(({ order }) => attemptOf(order)))}::int[],
        ${texts(settlements.map(({ order }) => order.worker))}::text[],
        ${texts(settlements.map(({ outcome }) => outcome.event))}::text[],
        ${milliseconds(settlements.map(({ outcome }) => ("delay" in outcome ? Duration.toMillis(outcome.delay) : null)))}::float8[],
        ${texts(settlements.map(({ outcome }) => ("failure" in outcome ? outcome.failure.reason : null)))}::text[],
        ${texts(settlements.map(({ outcome }) => ("failure" in outcome ? outcome.failure.reasonCode : null)))}::text[],
        ${texts(settlements.map(({ outcome }) => ("detail" in outcome ? outcome.detail : null)))}::text[]
      ) WITH ORDINALITY AS o (id, version, attempt, worker, event, delay_ms, reason, reason_code, detail, place)
    ), settled AS (
      UPDATE ${orders} AS o SET
        status = CASE outcome.event WHEN 'completed' THEN 'PROCESSED' WHEN 'failed' THEN 'FAILED' ELSE 'PENDING' END,
        version = o.version + 1,
        retry_count = o.retry_count + CASE WHEN outcome.event IN ('retried', 'failed') THEN 1 ELSE 0 END,
        failure_reason = coalesce(outcome.reason, o.failure_reason),
        due_at = CASE WHEN outcome.event IN ('completed', 'failed') THEN NULL
                      WHEN outcome.event = 'released' THEN o.due_at
                      ELSE ${now} + outcome.delay_ms * interval '1 millisecond' END,
        worker = NULL,
        lease_until = NULL,
        updated_at = ${now}
      FROM outcome
      WHERE o.id = outcome.id AND o.version = outcome.version AND o.status = 'PROCESSING'
      RETURNING o.id, o.version, o.status, o.retry_count, o.updated_at
    ), history AS (
      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt, worker, reason, reason_code, detail)
      SELECT s.id, s.version, o.event, 'PROCESSING', s.status, s.updated_at, o.attempt, o.worker, o.reason, o.reason_code, o.detail
      FROM settled s JOIN outcome o ON o.id = s.id
    ), buried AS (
      INSERT INTO ${deadLetters} (order_id, reason, reason_code, retry_count, failed_at)
      SELECT s.id, o.reason, o.reason_code, s.retry_count, s.updated_at
      FROM settled s JOIN outcome o ON o.id = s.id WHERE s.status = 'FAILED'
    )
    SELECT CASE WHEN s.id IS NOT NULL THEN 'settled' WHEN EXISTS (
      SELECT FROM ${orderEvents} e
      WHERE e.order_id = o.id AND e.version = o.version + 1 AND e.event = o.event AND e.worker = o.worker
    ) THEN 'repeated' ELSE 'stale' END AS result
    FROM outcome o LEFT JOIN settled s ON s.id = o.id ORDER BY o.place`

  /** One row if the order is still as this attempt was given it. */
  const isStarted = ({ order }: Settlement) =>
    sql`SELECT FROM ${orders} WHERE id = ${order.id}::uuid AND version = ${order.version} AND status = 'PROCESSING'`

  return { isStarted, settle }
}
