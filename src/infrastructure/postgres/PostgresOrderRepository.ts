import { DateTime, Duration, Effect, Layer, Option } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import type { DeadLetterFilter, OrderFilter, Page } from "../../application/ports/OrderQueries.ts"
import {
  OrderRepository,
  type Settlement,
  type SettleResult,
  WritesRefused
} from "../../application/ports/OrderRepository.ts"
import { attemptOf, type NewOrder, workerLost } from "../../domain/Order.ts"
import { OrderNotFound, OrderNotInDeadLetterQueue, OrderVersionMismatch } from "../../domain/OrderErrors.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { documents, integers, milliseconds, texts, timestamps, uuids } from "./Columns.ts"
import { DatabaseSchema } from "./DatabaseSchema.ts"
import { makeListings, toListing } from "./Listings.ts"
import {
  type DeadLetterRow,
  type EventRow,
  type OrderRow,
  toDeadLetter,
  toEvent,
  toListedOrder,
  toOrder,
  toProcessingOrder
} from "./OrderRow.ts"
import { makeStoreStats } from "./StoreStats.ts"
import { CallTimeLimit, catchSqlTrouble, isTransient, messageOf, repeatIdempotent } from "./SqlTrouble.ts"

/** Longer than 150 lines because each statement is one sentence, and they are read side by side. */
const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const orders = sql(`${schema}.orders`)
  const orderEvents = sql(`${schema}.order_events`)
  const deadLetters = sql(`${schema}.dead_letters`)
  const now = sql.literal(`"${schema}".order_platform_now()`)
  const claimFunction = sql.literal(`"${schema}".order_platform_claim`)
  const nextLookFunction = sql.literal(`"${schema}".order_platform_next_look`)

  const submit = (batch: ReadonlyArray<NewOrder>) => sql`
    WITH stored AS (
      INSERT INTO ${orders} (id, status, version, payload, payload_version, priority, max_retries, metadata,
        correlation_id, due_at, created_at, updated_at)
      SELECT id, 'PENDING', 1, payload::jsonb, payload_version, priority, max_retries, metadata::jsonb,
        correlation_id, greatest(not_before, ${now}), ${now}, ${now}
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
      ON CONFLICT (id) DO NOTHING
      RETURNING id, created_at
    )
    INSERT INTO ${orderEvents} (order_id, version, event, to_status, at, attempt)
    SELECT id, 1, 'created', 'PENDING', created_at, 1 FROM stored`

  const claim = (worker: string, lease: Duration.Duration, max: number) => sql<
    OrderRow & { readonly next_due_ms: number | null; readonly next_lease_end_ms: number | null }
  >`
    SELECT claimed.*,
      (extract(epoch FROM next.next_due - ${now}) * 1000)::float8 AS next_due_ms,
      (extract(epoch FROM next.next_lease_end - ${now}) * 1000)::float8 AS next_lease_end_ms
    FROM ${nextLookFunction}() AS next
    LEFT JOIN ${claimFunction}(${worker}, ${Duration.toMillis(lease)}::float8 * interval '1 millisecond', ${max}) AS claimed ON true`

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

  const find = Effect.fnUntraced(function* (id: OrderId) {
    const [row] = yield* sql<OrderRow>`SELECT * FROM ${orders} WHERE id = ${id}::uuid`
    return row === undefined ? yield* new OrderNotFound({ orderId: id }) : toOrder(row)
  })

  const timeline = Effect.fnUntraced(function* (id: OrderId) {
    const rows =
      yield* sql<EventRow>`SELECT * FROM ${orderEvents} WHERE order_id = ${id}::uuid ORDER BY version`
    return rows.length === 0 ? yield* new OrderNotFound({ orderId: id }) : rows.map(toEvent)
  })

  const { deadLettersOf, ordersOf } = makeListings(sql, schema)

  const list = (page: Page, filter: OrderFilter = {}) =>
    Effect.map(ordersOf(page, filter), (rows) =>
      toListing(
        rows,
        page.limit,
        ({ id }) => id !== null,
        toListedOrder,
        ({ createdAt, id }) => ({
          at: createdAt,
          orderId: id
        })
      )
    )

  const pageOfDeadLetters = (page: Page, filter: DeadLetterFilter = {}) =>
    Effect.map(deadLettersOf(page, filter), (rows) =>
      toListing(
        rows,
        page.limit,
        ({ order_id }) => order_id !== null,
        toDeadLetter,
        ({ failedAt, orderId }) => ({
          at: failedAt,
          orderId
        })
      )
    )

  // Where nothing was changed, says which of the conditions did not hold.
  const takenOr = Effect.fnUntraced(function* (
    rows: ReadonlyArray<OrderRow>,
    id: OrderId,
    ifVersion: number | null
  ) {
    const [row] = rows
    if (row !== undefined) return toOrder(row)
    const order = yield* find(id)
    if (ifVersion !== null && order.version !== ifVersion)
      return yield* new OrderVersionMismatch({ orderId: id })
    return yield* new OrderNotInDeadLetterQueue({ orderId: id })
  })

  const deadLetter = Effect.fnUntraced(function* (id: OrderId) {
    const [row] = yield* sql<DeadLetterRow>`SELECT * FROM ${deadLetters} WHERE order_id = ${id}::uuid`
    if (row !== undefined) return toDeadLetter(row)
    yield* find(id)
    return yield* new OrderNotInDeadLetterQueue({ orderId: id })
  })

  const oldestDueAge = sql`(
    SELECT (extract(epoch FROM ${now} - min(first.due_at)) * 1000)::float8
    FROM generate_series(0, 9) AS each (priority)
    CROSS JOIN LATERAL (
      SELECT due_at FROM ${orders} o WHERE o.status = 'PENDING' AND o.priority = each.priority AND o.due_at <= ${now}
      ORDER BY o.due_at, o.id LIMIT 1
    ) first
  )`

  const backlog = sql<{ pending: number; processing: number; oldest_due_age_ms: number | null }>`
    SELECT
      (SELECT count(*)::int FROM (SELECT FROM ${orders} WHERE status = 'PENDING' LIMIT 100000) AS counted) AS pending,
      (SELECT count(*)::int FROM (SELECT FROM ${orders} WHERE status = 'PROCESSING' LIMIT 100000) AS counted) AS processing,
      ${oldestDueAge} AS oldest_due_age_ms`

  const inTransaction = Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)
  const guarded = catchSqlTrouble(yield* CallTimeLimit)
  const guardedTransaction = catchSqlTrouble(Duration.infinity)

  return OrderRepository.of({
    submit: (batch) =>
      guarded(
        Effect.flatMap(inTransaction, (inside) => (inside ? submit(batch) : repeatIdempotent(submit(batch))))
      ),
    inTransaction,
    afterCommit: sql.afterCommit,
    claim: ({ lease, max, worker }) =>
      guarded(
        Effect.map(claim(worker, lease, max), (rows) => ({
          orders: rows
            .filter(({ id }) => id !== null)
            .map(toProcessingOrder)
            .sort(bestFirst),
          nextDueIn: untilMillis(rows[0]?.next_due_ms),
          nextLeaseEndIn: untilMillis(rows[0]?.next_lease_end_ms)
        }))
      ),
    settle: (settlements) =>
      guarded(repeatIdempotent(Effect.map(settle(settlements), (rows) => rows.map(({ result }) => result)))),
    settleWith: (settlement, writes) =>
      sql
        .withTransaction(
          Effect.gen(function* () {
            const [row] = yield* settle([settlement])
            if (row?.result === "settled") yield* writes
            return row?.result ?? "stale"
          })
        )
        .pipe(
          repeatIdempotent,
          Effect.catchIf(
            (error) => SqlError.isSqlError(error) && !isTransient(error),
            (error) =>
              Effect.fail(new WritesRefused({ reason: SqlError.isSqlError(error) ? messageOf(error) : "" }))
          ),
          guardedTransaction
        ),
    backlog: guarded(
      Effect.map(backlog, ([row]) => ({
        pending: row?.pending ?? 0,
        processing: row?.processing ?? 0,
        oldestDueAge: untilMillis(row?.oldest_due_age_ms)
      }))
    ),
    stats: guarded(repeatIdempotent(makeStoreStats(sql, schema, now, oldestDueAge))),
    renew: (worker, lease) =>
      guarded(
        repeatIdempotent(
          Effect.map(renew(worker, lease), (rows) =>
            rows.map((row) => ({
              id: row.id,
              version: row.version,
              retryCount: row.retry_count,
              worker: row.worker,
              updatedAt: DateTime.fromDateUnsafe(row.updated_at),
              leaseUntil: DateTime.fromDateUnsafe(row.lease_until)
            }))
          )
        )
      ),
    expire: (max) => guarded(Effect.map(expire(max), (rows) => rows.map(toOrder))),
    find: (id) => guarded(repeatIdempotent(find(id))),
    timeline: (id) => guarded(repeatIdempotent(timeline(id))),
    list: (page, filter) => guarded(repeatIdempotent(list(page, filter))),
    deadLetters: (page, filter) => guarded(repeatIdempotent(pageOfDeadLetters(page, filter))),
    deadLetter: (id) => guarded(deadLetter(id)),
    reprocess: (id, { ifVersion = null } = {}) =>
      guarded(Effect.flatMap(reprocess(id, ifVersion), (rows) => takenOr(rows, id, ifVersion))),
    discard: (id, { ifVersion = null, reason = null } = {}) =>
      guarded(Effect.flatMap(discard(id, reason, ifVersion), (rows) => takenOr(rows, id, ifVersion))),
    ping: guarded(Effect.asVoid(sql`SELECT 1`))
  })
})

const untilMillis = (millis: number | null | undefined) =>
  millis === null || millis === undefined ? null : Duration.millis(Math.max(0, millis))

/** The orders of a claim come in the order of the update; they are started best first. */
const bestFirst = (
  a: { readonly priority: number; readonly dueAt: DateTime.Utc; readonly id: OrderId },
  b: { readonly priority: number; readonly dueAt: DateTime.Utc; readonly id: OrderId }
): number => b.priority - a.priority || DateTime.Order(a.dueAt, b.dueAt) || (a.id < b.id ? -1 : 1)

/** Orders in PostgreSQL, on the caller's client; the tables must have been migrated. */
export const layer = Layer.effect(OrderRepository, make)
