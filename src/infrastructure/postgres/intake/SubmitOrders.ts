import { DateTime } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { NewOrder } from "../../../domain/Order.ts"
import { documents, integers, texts, timestamps, uuids } from "../client/Columns.ts"
import { tablesOf } from "../client/Tables.ts"

/**
 * Stores new orders with their first events: one statement, all or none. An id that is there already is skipped.
 * `storing` is the same for a statement that decides itself which of them to store.
 */
export const makeStoreOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderEvents, orders } = tablesOf(sql, schema)
  // In a subquery the time is told once a statement and not once a row.
  const once = sql`(SELECT ${now})`

  const storing = (batch: ReadonlyArray<NewOrder>, condition: Statement.Fragment) => sql`
    stored AS (
      INSERT INTO ${orders} (id, status, version, payload, payload_version, priority, max_retries, metadata,
        correlation_id, due_at, created_at, updated_at)
      SELECT id, 'PENDING', 1, payload::jsonb, payload_version, priority, max_retries, metadata::jsonb,
        correlation_id, greatest(not_before, ${once}), ${once}, ${once}
      FROM unnest(
        ${uuids(batch.map(({ id }) => id))}::uuid[],
        ${documents(batch.map(({ payload }) => payload))}::text[],
        ${integers(batch.map(({ payloadVersion }) => payloadVersion))}::int[],
        ${integers(batch.map(({ priority }) => priority))}::int[],
        ${integers(batch.map(({ maxRetries }) => maxRetries))}::int[],
        ${documents(batch.map(({ metadata }) => metadata))}::text[],
        ${texts(batch.map(({ correlationId }) => correlationId))}::text[],
        ${timestamps(batch.map(({ notBefore }) => (notBefore === null ? null : DateTime.toDateUtc(notBefore))))}::timestamptz[]
      ) AS submitted (id, payload, payload_version, priority, max_retries, metadata, correlation_id, not_before)
      ${condition}
      ON CONFLICT (id) DO NOTHING
      RETURNING id, created_at
    )`
  const recording = sql`
    INSERT INTO ${orderEvents} (order_id, version, event, to_status, at, attempt)
    SELECT id, 1, 'created', 'PENDING', created_at, 1 FROM stored`

  const submit = (batch: ReadonlyArray<NewOrder>) => sql`WITH ${storing(batch, sql``)} ${recording}`

  return { recording, storing, submit }
}
