import { DateTime } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { NewOrder } from "../../../domain/Order.ts"
import { defaultType } from "../../../domain/TypeSettings.ts"
import { documents, integers, texts, timestamps, uuids } from "../client/Columns.ts"
import { enqueueParts } from "../client/EnqueueParts.ts"
import { tablesOf } from "../client/Tables.ts"

/**
 * The parts of the submit statement: `orders` inserts the orders of a batch that meet `condition` and whose
 * ids are not stored yet; `events` writes the first event of each inserted order and enqueues it. Places are
 * drawn in the sequence of the batch.
 */
export const submitParts = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderEvents, orders } = tablesOf(sql, schema)
  const enqueue = enqueueParts(sql, schema)
  // In a subquery the clock is read once per statement instead of once per row.
  const at = sql`(SELECT ${now})`

  // The parts that no order of the batch needs are left out.
  const enqueued = (batch: ReadonlyArray<NewOrder>) => {
    const isKeyed = batch.some(({ orderingKey }) => orderingKey !== null)
    const isPlain = batch.every(({ group, type }) => group === null && type === defaultType)
    const keyed = isKeyed ? sql`, ${enqueue.keyed("submitted")}` : sql``
    return isPlain
      ? sql`${enqueue.plain("submitted")}${keyed}`
      : sql`${enqueue.plain("submitted")}${keyed}, ${enqueue.laneChecks("submitted")}`
  }

  return {
    orders: (batch: ReadonlyArray<NewOrder>, condition: Statement.Fragment) => sql`
    submitted AS (
      INSERT INTO ${orders} (id, status, version, payload, payload_version, priority, max_retries, metadata,
        correlation_id, type, ordering_key, group_name, place, due_at, created_at, updated_at)
      SELECT id, 'PENDING', 1, payload::jsonb, payload_version, priority, max_retries, metadata::jsonb,
        correlation_id, type, ordering_key, group_name, CASE WHEN ordering_key <> '' THEN ${enqueue.nextPlace} END,
        greatest(not_before, ${at}), ${at}, ${at}
      FROM unnest(
        ${uuids(batch.map(({ id }) => id))}::uuid[],
        ${documents(batch.map(({ payload }) => payload))}::text[],
        ${integers(batch.map(({ payloadVersion }) => payloadVersion))}::int[],
        ${integers(batch.map(({ priority }) => priority))}::int[],
        ${integers(batch.map(({ maxRetries }) => maxRetries))}::int[],
        ${documents(batch.map(({ metadata }) => metadata))}::text[],
        ${texts(batch.map(({ correlationId }) => correlationId))}::text[],
        ${texts(batch.map(({ type }) => type))}::text[],
        ${texts(batch.map(({ orderingKey }) => orderingKey ?? ""))}::text[],
        ${texts(batch.map(({ group }) => group ?? ""))}::text[],
        ${timestamps(batch.map(({ notBefore }) => (notBefore === null ? null : DateTime.toDateUtc(notBefore))))}::timestamptz[]
      ) AS batch (id, payload, payload_version, priority, max_retries, metadata, correlation_id, type, ordering_key,
        group_name, not_before)
      ${condition}
      ON CONFLICT (id) DO NOTHING
      RETURNING id, created_at, due_at, priority, type, ordering_key, group_name, place
    ), ${enqueued(batch)}`,
    events: sql`
    INSERT INTO ${orderEvents} (order_id, version, event, to_status, at, attempt)
    SELECT id, 1, 'created', 'PENDING', created_at, 1 FROM submitted`
  }
}

/** Stores a batch of new orders with their first events, all or none, in one statement. */
export const submitOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const { events, orders } = submitParts(sql, schema)
  return (batch: ReadonlyArray<NewOrder>) => sql`WITH ${orders(batch, sql``)} ${events}`
}
