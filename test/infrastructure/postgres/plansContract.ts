import { assert, layer } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer } from "effect"
import { SqlClient, type Statement } from "effect/sql"
import type { Outcome, ProcessingOrder } from "../../../src/domain/Order.ts"
import { failure } from "../../../src/domain/Failure.ts"
import { OrderId } from "../../../src/domain/OrderId.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { listDeadLettersStatement } from "../../../src/infrastructure/postgres/dead-letters/ListDeadLetters.ts"
import {
  countDueStatement,
  countScheduledStatement
} from "../../../src/infrastructure/postgres/intake/CountPending.ts"
import { deleteExpiredKeys } from "../../../src/infrastructure/postgres/upkeep/DeleteExpiredKeys.ts"
import { deleteOldOrders } from "../../../src/infrastructure/postgres/upkeep/DeleteOldOrders.ts"
import { expireLeases } from "../../../src/infrastructure/postgres/work/ExpireLeases.ts"
import { renewStatement } from "../../../src/infrastructure/postgres/work/RenewLeases.ts"
import { listOrdersStatement } from "../../../src/infrastructure/postgres/watch/ListOrders.ts"
import { countDueBeforeStatement } from "../../../src/infrastructure/postgres/watch/ExplainOrder.ts"
import { eventsAfterStatement } from "../../../src/infrastructure/postgres/watch/WatchOrder.ts"
import { settleOrders } from "../../../src/infrastructure/postgres/work/SettleOrders.ts"
import { claimStatement } from "../../../src/infrastructure/postgres/work/ClaimOrders.ts"
import * as Postgres from "../../../src/infrastructure/postgres/Postgres.ts"
import * as TestPostgres from "../../TestPostgres.ts"
import { type Explained, explained } from "./Explained.ts"

/** Stores whose statements may take minutes, because hundreds of thousands of orders are inserted at once. */
const patientStores = Layer.suspend(() =>
  Postgres.layerStores.pipe(
    Layer.provideMerge(TestPostgres.ownSchema({ statementTimeout: Duration.minutes(5) }))
  )
)

const idOf = (n: number) => OrderId.make(`00000000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`)

/**
 * Inserts by SQL: orders of priority 9 that are scheduled for next year; a hundredth as many final orders, but at least
 * 20,000, a second apart until a day ago; 1000 due orders of priority 4 and 1000 of priority 0; 200 with a lease, half
 * of them expired; and as many kept answers as final orders, a hundred of them expired.
 */
const crowd = Effect.fnUntraced(function* (scheduled: number, final: number) {
  const sql = yield* SqlClient.SqlClient
  const s = `"${yield* DatabaseSchema}"`
  yield* sql.unsafe(`ALTER TABLE ${s}.orders DISABLE TRIGGER orders_guard_insert`)
  const insertOrders = (from: number, count: number, status: string, priority: number, columns: string) =>
    sql.unsafe(`
      INSERT INTO ${s}.orders (id, status, version, retry_count, max_retries, priority, due_at, worker, lease_until,
        updated_at, created_at, correlation_id, payload_version, payload, metadata)
      SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, ${status}, 1, 0, 3, ${priority}, ${columns},
        now() - interval '2 days', 'c', 1, '{}',
        CASE WHEN ${status} IN ('PROCESSED', 'FAILED') THEN '{"shop": "1"}' ELSE '{}' END::jsonb
      FROM generate_series(${from}, ${from + count - 1}) AS n`)
  const insert = (from: number, count: number, status: string, priority: number, columns: string) =>
    Effect.andThen(
      insertOrders(from, count, status, priority, columns),
      sql.unsafe(`
        INSERT INTO ${s}.order_events (order_id, version, event, from_status, to_status, at, attempt)
        SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 1, 'created', NULL, 'PENDING', now(), 1
        FROM generate_series(${from}, ${from + count - 1}) AS n`)
    )
  const ago = (unit: string) => `now() - n * interval '${unit}'`
  // In slices, so that no statement takes minutes.
  const slice = 100_000
  const later = "now() + interval '1 year' + n * interval '1 second', NULL, NULL, now()"
  for (let from = 1; from <= scheduled; from += slice)
    yield* insert(from, Math.min(slice, scheduled - from + 1), "'PENDING'", 9, later)
  let next = scheduled + 1
  const finalFrom = next
  yield* insert(
    next,
    final,
    "CASE WHEN n % 2 = 0 THEN 'PROCESSED' ELSE 'FAILED' END",
    0,
    `NULL, NULL, NULL, now() - interval '1 day' - (n - ${finalFrom}) * interval '1 second'`
  )
  next += final
  const due = next
  yield* insert(next, 1000, "'PENDING'", 4, `${ago("1 millisecond")}, NULL, NULL, now()`)
  yield* insert((next += 1000), 1000, "'PENDING'", 0, `${ago("1 millisecond")}, NULL, NULL, now()`)
  const held = (next += 1000)
  yield* insert(
    next,
    200,
    "'PROCESSING'",
    0,
    `now(), 'w', now() + CASE WHEN n % 2 = 0 THEN interval '1 hour' ELSE interval '-1 hour' END, now()`
  )
  next += 200
  yield* sql.unsafe(`
    INSERT INTO ${s}.dead_letters (order_id, reason, reason_code, retry_count, failed_at)
    SELECT id, 'declined', CASE WHEN right(id::text, 2) = '01' THEN 'TIMEOUT' ELSE 'PERMANENT' END, 1, updated_at FROM ${s}.orders WHERE status = 'FAILED'`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.idempotency_keys (scope, key, fingerprint, answer, request_id, expires_at)
    SELECT 'POST /orders', n::text, 'f', '{}', gen_random_uuid(), now() + interval '1 hour' * (n - 100.5)
    FROM generate_series(1, ${final}) AS n`)
  return { due, held }
})

/** No statement of the platform scans a whole table, however many scheduled orders precede the due ones. */
export const plansContract = (scheduled: number, final: number) => {
  layer(patientStores, { excludeTestServices: true, timeout: "5 minutes" })(
    `the plans with ${scheduled} scheduled orders of priority 9`,
    (it) => {
      const statements = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const schema = yield* DatabaseSchema
        const { due, held } = yield* sql.withTransaction(crowd(scheduled, final))
        const lease = Duration.seconds(30)
        const holding = (n: number): ProcessingOrder =>
          ({ id: idOf(held + n), version: 1, retryCount: 0, worker: "w" }) as ProcessingOrder
        const outcomes: ReadonlyArray<Outcome> = [
          { event: "completed" },
          { event: "failed", failure: failure("PERMANENT", "x") },
          { event: "retried", failure: failure("PROCESSING_FAILED", "x"), delay: lease }
        ]
        const settlements = Array.from({ length: 200 }, (_, n) => ({
          order: holding(n),
          outcome: outcomes[n % 3] ?? { event: "completed" as const }
        }))
        const settle = settleOrders(sql, schema)
        const expire = expireLeases(sql, schema)
        const renew = renewStatement(sql, schema)
        const claim = claimStatement(sql, schema)
        const deleteOld = deleteOldOrders(sql, schema)
        const deleteKeys = deleteExpiredKeys(sql, schema)
        const countDue = countDueStatement(sql, schema)
        const countScheduled = countScheduledStatement(sql, schema)
        const dueBefore = countDueBeforeStatement(sql, schema)
        const eventsAfter = eventsAfterStatement(sql, schema)
        const ordersOf = listOrdersStatement(sql, schema)
        const deadLettersOf = listDeadLettersStatement(sql, schema)
        const page = { limit: 50, after: null }
        const before = { limit: 50, after: { at: DateTime.nowUnsafe(), orderId: idOf(due) } }
        const places = Array.from({ length: 500 }, (_, n) => ({ id: idOf(due + n), after: 0 }))
        // The limits are at least two to three times the measured values: far below the tens of thousands of pages of a
        // table, with room for the row versions that earlier statements left.
        return [
          // One index search per priority, and the writes: 256 rows, their index entries and events.
          ["claim of 256, and the time of the next poll", claim("x", lease, 256), 15_000, []],
          ["claim of 1", claim("x", lease, 1), 300, []],
          ["claim of none", claim("x", lease, 0), 100, []],
          ["settle of 200", settle(settlements), 15_000, []],
          ["renew of 200", renew("w", lease), 12_000, []],
          ["expire of 100", expire(100), 8000, []],
          ["due orders before the last one", dueBefore(idOf(held - 1), 10_001), 3000, ["orders_due"]],
          // A row version that VACUUM has not marked as visible costs a page: at most one a counted order.
          ["due orders, up to 1000", countDue(1000), 3000, ["orders_due", "orders_final"]],
          ["due orders, all", countDue(100_000), 3000, ["orders_due"]],
          ["scheduled orders, up to 1000", countScheduled(1000, 100), 3000, ["orders_due"]],
          [
            "events of 500 orders",
            eventsAfter(places, { maxEach: 100, maxAll: 2000 }),
            4000,
            ["order_events_pkey"]
          ],
          [
            "retention of PROCESSED",
            deleteOld("PROCESSED", Duration.hours(1), 500),
            12_000,
            ["orders_final"]
          ],
          ["retention of FAILED", deleteOld("FAILED", Duration.hours(1), 500), 12_000, ["orders_final"]],
          ["retention of none", deleteOld("FAILED", Duration.days(1000), 500), 20, ["orders_final"]],
          ["expired keys", deleteKeys(500), 1500, ["idempotency_keys_expiry"]],
          ["orders", ordersOf(page, {}), 1000, ["orders_newest"]],
          ["orders further on", ordersOf(before, {}), 400, ["orders_newest"]],
          ["orders by status", ordersOf(page, { status: "PROCESSED" }), 100, ["orders_newest"]],
          // Past what the settles above wrote and rolled back: an entry and a page for each retry.
          ["orders being retried", ordersOf(page, { retrying: true }), 300, ["orders_retrying"]],
          ["orders by metadata", ordersOf(page, { metadata: { shop: "1" } }), 600, ["order_metadata_pkey"]],
          ["dead letters", deadLettersOf(page, {}), 100, ["dead_letters_newest"]],
          [
            "dead letters by code",
            deadLettersOf(page, { reasonCode: "TIMEOUT" }),
            200,
            ["dead_letters_by_code"]
          ]
        ] as ReadonlyArray<[string, Statement.Statement<unknown>, number, ReadonlyArray<string>]>
      })

      const judge = (name: string, found: Explained, pages: number, indexes: ReadonlyArray<string>) => {
        assert.deepStrictEqual(found.scanned, [], `${name}, by its plan`)
        assert.deepStrictEqual(found.scannedInside, [], `${name}, inside`)
        assert.isBelow(found.pages, pages, name)
        assert.includeMembers([...found.indexes], [...indexes], name)
      }

      it.effect(
        "every statement uses its index and reads few pages; claim and settle also without statistics",
        () =>
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const s = `"${yield* DatabaseSchema}"`
            const all = yield* statements
            // These use their index whatever the statistics say, and without statistics.
            for (const [name, statement, pages, indexes] of all.filter(([name]) =>
              /^(claim|settle)/.test(name)
            ))
              judge(`${name}, no statistics`, yield* explained(statement), pages, indexes)
            for (const table of [
              "orders",
              "order_events",
              "dead_letters",
              "order_metadata",
              "idempotency_keys"
            ])
              yield* sql.unsafe(`VACUUM ANALYZE ${s}.${table}`)
            for (const [name, statement, pages, indexes] of all)
              judge(name, yield* explained(statement), pages, indexes)
          })
      )
    }
  )
}
