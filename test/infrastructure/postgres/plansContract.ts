import { assert, layer } from "@effect/vitest"
import { Data, DateTime, Duration, Effect, Layer } from "effect"
import { SqlClient, type Statement } from "effect/sql"
import type { Outcome, ProcessingOrder } from "../../../src/domain/Order.ts"
import { noLimits } from "../../../src/domain/Groups.ts"
import { failure } from "../../../src/domain/Failure.ts"
import { OrderId } from "../../../src/domain/OrderId.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { allStores, type AllStores } from "../../../src/testing/AllStores.ts"
import { neededRights } from "../../../src/infrastructure/postgres/client/ServerChecks.ts"
import * as Postgres from "../../../src/infrastructure/postgres/Postgres.ts"
import * as TestPostgres from "../../TestPostgres.ts"
import { type Explained, explained, shortTables, statementsOf } from "./Explained.ts"

/** Stores whose statements may take minutes, because hundreds of thousands of orders are inserted at once. */
const patientStores = Layer.suspend(() =>
  Postgres.layerStores.pipe(
    Layer.provideMerge(TestPostgres.ownSchema({ statementTimeout: Duration.minutes(5) }))
  )
)

const idOf = (n: number) => OrderId.make(`00000000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`)

/** The columns of inserted orders, as SQL; `n` is the order's number. */
interface Columns {
  readonly status: string
  readonly priority?: number
  readonly due?: string
  readonly worker?: string
  readonly updated?: string
  readonly group?: string
  readonly key?: string
}

const inserter = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const s = `"${yield* DatabaseSchema}"`
  const id = "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"
  let next = 1
  const slice = 100_000
  /**
   * Inserts orders with their first events, and returns the number of the first order. It works in slices, so that no
   * statement takes minutes.
   */
  const insert = Effect.fnUntraced(function* (count: number, columns: Columns) {
    const {
      due = "NULL",
      group = "''",
      key = "''",
      priority = 0,
      status,
      updated = "now()",
      worker = "NULL"
    } = columns
    const first = next
    for (; next < first + count; next += Math.min(slice, first + count - next)) {
      const numbers = `generate_series(${next}, ${Math.min(next + slice, first + count) - 1}) AS n`
      yield* sql.unsafe(`
        INSERT INTO ${s}.orders (id, status, version, retry_count, max_retries, priority, type, ordering_key, place, group_name,
          due_at, worker, updated_at, created_at, correlation_id, payload_version, payload, metadata)
        SELECT ${id}, ${status}, 1, 0, 3, ${priority}, 'default', ${key}, CASE WHEN ${key} <> '' THEN n END, ${group},
          ${due}, ${worker}, ${updated}, now() - interval '2 days', 'c', 1, '{}',
          CASE WHEN ${status} IN ('PROCESSED', 'FAILED') THEN '{"shop": "1"}' ELSE '{}' END::jsonb
        FROM ${numbers}`)
      yield* sql.unsafe(`
        INSERT INTO ${s}.order_events (order_id, version, event, from_status, to_status, at, attempt)
        SELECT ${id}, 1, 'created', NULL, 'PENDING', now(), 1 FROM ${numbers}`)
    }
    return first
  })
  return insert
})

/** Fills the tables of work from the orders, as the functions would have left them. */
const fillTablesOfWork = (s: string): ReadonlyArray<string> => [
  `INSERT INTO ${s}.order_due (priority, group_name, type, due_at, order_id, is_retry)
   SELECT priority, group_name, type, due_at, id, false FROM ${s}.orders WHERE status = 'PENDING' AND ordering_key = ''`,
  `INSERT INTO ${s}.order_key_waiting (type, ordering_key, place, order_id, group_name)
   SELECT type, ordering_key, place, id, group_name FROM ${s}.orders WHERE status = 'PENDING' AND ordering_key <> ''`,
  `INSERT INTO ${s}.order_key_heads (type, ordering_key, order_id)
   SELECT DISTINCT ON (type, ordering_key) type, ordering_key, gen_random_uuid() FROM ${s}.order_key_waiting`,
  `INSERT INTO ${s}.order_running (worker, order_id, type, group_name)
   SELECT worker, id, type, group_name FROM ${s}.orders WHERE status = 'PROCESSING'`,
  `INSERT INTO ${s}.order_workers (id, lease_until, started_at, seen_at)
   SELECT worker, now() + CASE worker WHEN 'lost' THEN interval '-1 hour' ELSE interval '1 hour' END, now(), now()
   FROM ${s}.order_running GROUP BY worker`,
  `INSERT INTO ${s}.order_final (status, created_at, order_id, final_at)
   SELECT status, created_at, id, updated_at FROM ${s}.orders WHERE status IN ('PROCESSED', 'FAILED')`,
  `INSERT INTO ${s}.dead_letters (order_id, reason, reason_code, retry_count, failed_at, fingerprint)
   SELECT id, 'declined', CASE WHEN right(id::text, 2) = '01' THEN 'TIMEOUT' ELSE 'PERMANENT' END, 1, updated_at, right(id::text, 2)
   FROM ${s}.orders WHERE status = 'FAILED'`,
  `INSERT INTO ${s}.order_failure_groups (fingerprint, type, reason_code, message, count, first_seen, last_seen, versions)
   SELECT fingerprint, 'default', 'PERMANENT', 'declined', count(*), min(failed_at), max(failed_at), '{}'::text[]
   FROM ${s}.dead_letters GROUP BY fingerprint
   UNION ALL SELECT 'empty ' || n, 'default', 'PERMANENT', 'declined', 0, now(), now() - n * interval '1 minute', '{}'::text[]
   FROM generate_series(1, 5000) AS n`,
  // Lanes that claims have closed: of scheduled orders, and of groups that are full.
  `INSERT INTO ${s}.order_lanes (priority, group_name, type, ready, wake_at)
   SELECT priority, group_name, type, false, CASE WHEN min(due_at) > now() THEN min(due_at) END
   FROM ${s}.order_due WHERE group_name <> '' GROUP BY priority, group_name, type`,
  `INSERT INTO ${s}.order_groups (group_name, is_set, max_running)
   SELECT DISTINCT group_name, true, 1 FROM ${s}.order_running WHERE group_name <> ''
   UNION ALL SELECT 'idle ' || n, true, 1 FROM generate_series(1, 5000) AS n`
]

/**
 * Inserts by SQL: `scheduled` orders of priority 9 for next year, a quarter of them in 250 groups; `final` final
 * orders, a second apart until a day ago; `final` orders of 500 keys that wait behind another one of their key; 1000
 * due orders of priority 4 and 1000 of priority 0; 2000 due orders of priority 7 in 100 groups that are full; 200
 * orders held by one worker, 100 by a worker whose lease has ended and 3000 by 30 others; and `final` answers stored
 * under idempotency keys, a hundred of them expired.
 */
const crowd = Effect.fnUntraced(function* (scheduled: number, final: number) {
  const sql = yield* SqlClient.SqlClient
  const s = `"${yield* DatabaseSchema}"`
  yield* sql.unsafe(`ALTER TABLE ${s}.orders DISABLE TRIGGER orders_guard_insert`)
  const insert = yield* inserter
  const justNow = "now() - n * interval '1 millisecond'"
  const waiting = { status: "'PENDING'", due: justNow }
  const running = { status: "'PROCESSING'", due: "now()" }
  yield* insert(scheduled, {
    status: "'PENDING'",
    priority: 9,
    due: "now() + interval '1 year' + n * interval '1 second'",
    group: "CASE WHEN n % 4 = 0 THEN 'later ' || n % 1000 ELSE '' END"
  })
  yield* insert(final, {
    status: "CASE WHEN n % 2 = 0 THEN 'PROCESSED' ELSE 'FAILED' END",
    updated: `now() - interval '1 day' - (n - ${scheduled + 1}) * interval '1 second'`
  })
  const behind = yield* insert(final, { ...waiting, priority: 5, key: "'key ' || n % 500", group: "'keys'" })
  const full = yield* insert(2000, { ...waiting, priority: 7, group: "'full ' || n % 100" })
  yield* insert(100, { ...running, worker: "'holder'", group: "'full ' || n % 100" })
  const due = yield* insert(1000, { ...waiting, priority: 4 })
  yield* insert(1000, waiting)
  const held = yield* insert(200, { ...running, worker: "'w'" })
  yield* insert(100, { ...running, worker: "'lost'" })
  yield* insert(3000, { ...running, worker: "'other ' || n % 30" })
  for (const statement of fillTablesOfWork(s)) yield* sql.unsafe(statement)
  yield* sql.unsafe(`
    INSERT INTO ${s}.idempotency_keys (scope, key, fingerprint, answer, request_id, expires_at)
    SELECT 'POST /orders', n::text, 'f', '{}', gen_random_uuid(), now() + interval '1 hour' * (n - 100.5)
    FROM generate_series(1, ${final}) AS n`)
  return { behind, due, full, held }
})

/** Adds 3000 due orders of priority 6 in 300 groups, whose lanes are ready. */
const readyGroups = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const s = `"${yield* DatabaseSchema}"`
  yield* sql.unsafe(`
    WITH stored AS (
      INSERT INTO ${s}.orders (id, status, version, retry_count, max_retries, priority, type, ordering_key, place, group_name,
        due_at, updated_at, created_at, correlation_id, payload_version, payload, metadata)
      SELECT gen_random_uuid(), 'PENDING', 1, 0, 3, 6, 'default', '', NULL, 'ready ' || n % 300,
        now() - n * interval '1 millisecond', now(), now() - interval '2 days', 'c', 1, '{}', '{}'
      FROM generate_series(1, 3000) AS n RETURNING *
    ), due AS (
      INSERT INTO ${s}.order_due (priority, group_name, type, due_at, order_id, is_retry)
      SELECT priority, group_name, type, due_at, id, false FROM stored
    ), events AS (
      INSERT INTO ${s}.order_events (order_id, version, event, to_status, at, attempt) SELECT id, 1, 'created', 'PENDING', now(), 1 FROM stored
    )
    INSERT INTO ${s}.order_lanes (priority, group_name, type, ready)
    SELECT DISTINCT priority, group_name, type, true FROM stored`)
})

/** Removes the heads of 300 keys, so that a claim must choose new ones. */
const keysWithoutHead = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const s = `"${yield* DatabaseSchema}"`
  yield* sql.unsafe(`DELETE FROM ${s}.order_key_heads WHERE right(ordering_key, 2) < '60'`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.order_key_checks (type, ordering_key)
    SELECT DISTINCT type, ordering_key FROM ${s}.order_key_waiting WHERE right(ordering_key, 2) < '60'`)
})

/** A name, what is measured, the maximum number of pages, and indexes that its plan must have. */
type Measured = readonly [string, Effect.Effect<unknown, unknown>, number, ReadonlyArray<string>]

const lease = Duration.seconds(30)

type Numbers = Effect.Success<ReturnType<typeof crowd>>

// The limits are at least two to three times the measured values: far below the tens of thousands of pages of a
// table, with room for the row versions that earlier statements left.
const work = ({ work }: AllStores, { held }: Numbers): ReadonlyArray<Measured> => {
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
  const claim = (max: number) => work.claim({ worker: "x", lease, max })
  return [
    // One index search per priority, and the writes: 256 rows, their index entries and events.
    ["claim of 256, and the time of the next poll", claim(256), 15_000, []],
    ["claim of 1", claim(1), 300, []],
    ["claim of none", claim(0), 150, []],
    ["settle of 200", work.settle(settlements), 15_000, []],
    ["renew of 200", work.renew("w", lease), 3000, []],
    ["cancel requests of 200", work.findCancelRequests("w"), 3000, []],
    ["expire of 100", work.expire(100), 8000, []]
  ]
}

const workWithGroups = ({ work }: AllStores): ReadonlyArray<Measured> => {
  const claim = (max: number, more: Partial<Parameters<typeof work.claim>[0]> = {}) =>
    work.claim({ worker: "x", lease, max, ...more })
  const limits = { ...noLimits, maxRunning: 3, ratePerSecond: 100 }
  return [
    ["claim of 256 in groups", claim(256), 25_000, []],
    ["claim of 256 with limits", claim(256, { defaultLimits: limits }), 30_000, []],
    ["claim of 256 with quotas", claim(256, { maxOfType: { default: 256 } }), 25_000, []],
    ["claim of 1 in groups", claim(1), 1000, []]
  ]
}

const reads = (
  { control, deadLetters, intake, reads, upkeep }: AllStores,
  { behind, due, full, held }: Numbers
): ReadonlyArray<Measured> => {
  const page = { limit: 50, after: null }
  const before = { limit: 50, after: { at: DateTime.nowUnsafe(), orderId: idOf(due) } }
  const places = Array.from({ length: 500 }, (_, n) => ({ id: idOf(due + n), after: 0 }))
  const why = (n: number) => reads.whyWaiting(idOf(n), { limit: 1001 })
  return [
    ["why the last due order waits", why(held - 1), 3000, []],
    ["why an order of a full group waits", why(full + 1999), 3000, []],
    ["why an order behind its key waits", why(behind + 1000), 500, ["order_key_heads_pkey"]],
    // A row version that VACUUM has not marked as visible costs a page: at most one a counted order.
    ["due orders, up to 1000", intake.countDue(1000), 3000, []],
    ["due orders, all", intake.countDue(100_000), 10_000, []],
    ["scheduled orders, up to 1000", intake.countScheduled(1000, 100), 3000, []],
    ["orders of groups", intake.countPendingOfGroups(["full 1", "keys", "later 4"], 100), 500, []],
    [
      "events of 500 orders",
      reads.eventsAfter(places, { maxEach: 100, maxAll: 2000 }),
      4000,
      ["order_events_pkey"]
    ],
    [
      "retention of PROCESSED",
      upkeep.deleteOldOrders("PROCESSED", Duration.hours(1), 500),
      12_000,
      ["order_final_pkey"]
    ],
    [
      "retention of FAILED",
      upkeep.deleteOldOrders("FAILED", Duration.hours(1), 500),
      12_000,
      ["order_final_pkey"]
    ],
    [
      "retention of none",
      upkeep.deleteOldOrders("FAILED", Duration.days(1000), 500),
      20,
      ["order_final_pkey"]
    ],
    ["expired keys", upkeep.deleteExpiredKeys(500), 1500, ["idempotency_keys_expiry"]],
    ["orders", reads.list(page), 1000, ["orders_newest"]],
    ["orders further on", reads.list(before), 400, ["orders_newest"]],
    ["orders by status", reads.list(page, { status: "PROCESSED" }), 10_000, ["orders_newest"]],
    ["failed orders", reads.list(page, { status: "FAILED" }), 400, ["order_final_failed"]],
    ["running orders", reads.list(page, { status: "PROCESSING" }), 20_000, []],
    ["orders being retried", reads.list(page, { retrying: true }), 300, ["order_due_retries"]],
    ["orders by group", reads.list(page, { group: "full 1" }), 400, ["orders_of_group"]],
    ["orders by key", reads.list(page, { orderingKey: "key 1" }), 400, ["orders_of_key"]],
    ["orders by metadata", reads.list(page, { metadata: { shop: "1" } }), 600, ["order_metadata_pkey"]],
    ["dead letters", deadLetters.list(page), 100, ["dead_letters_newest"]],
    [
      "dead letters by code",
      deadLetters.list(page, { reasonCode: "TIMEOUT" }),
      200,
      ["dead_letters_by_code"]
    ],
    [
      "dead letters of a group",
      deadLetters.list(page, { fingerprint: "01" }),
      200,
      ["dead_letters_of_group"]
    ],
    [
      "failure groups",
      deadLetters.failureGroups(page),
      1000,
      ["order_failure_groups_largest", "dead_letters_of_group"]
    ],
    [
      "failure groups further on",
      deadLetters.failureGroups({ limit: 50, after: { count: 100_000, fingerprint: "01" } }),
      1000,
      ["order_failure_groups_largest", "dead_letters_of_group"]
    ],
    ["mark of a failure group", deadLetters.markFixed("01"), 100, ["dead_letters_of_group"]],
    ["idle failure groups", upkeep.deleteIdleFailureGroups(1000), 100, ["order_failure_groups_empty"]],
    ["cancel of a waiting order", control.cancel(idOf(behind), { reason: "x" }), 200, []],
    ["run of a scheduled order", control.run(idOf(1)), 200, []],
    ["reprocess", deadLetters.reprocess(idOf(failedNumber(behind))), 300, []],
    ["types without a worker", control.typesWithoutWorker, 200, []]
  ]
}

/** An order that FAILED: the final ones are before `behind`, and those with odd numbers FAILED. */
const failedNumber = (behind: number) => (behind % 2 === 0 ? behind - 1 : behind - 2)

/** Reads whose counts stop at a limit of a hundred thousand: an index entry and at most a page for each. */
const counts = ({ reads }: AllStores): ReadonlyArray<Measured> => [
  ["stats", reads.stats, 30_000, []],
  ["backlog", reads.backlog, 15_000, []]
]

const judge = (name: string, found: Explained, pages: number, indexes: ReadonlyArray<string>) => {
  const isLong = (table: string) => !shortTables.includes(table)
  assert.deepStrictEqual(found.scanned.filter(isLong), [], `${name}, by its plan`)
  assert.deepStrictEqual(found.scannedInside.filter(isLong), [], `${name}, inside`)
  assert.isBelow(found.pages, pages, name)
  assert.includeMembers([...found.indexes], [...indexes], name)
}

class Undone extends Data.TaggedError("Undone")<{
  readonly found: ReadonlyArray<Statement.Statement<unknown>>
}> {}

/**
 * Executes what is measured, undoes it, and judges each of its statements; the indexes are those of the last statement.
 */
const measure = Effect.fnUntraced(function* ([name, effect, pages, indexes]: Measured, circumstance = "") {
  const sql = yield* SqlClient.SqlClient
  const statements = yield* sql
    .withTransaction(Effect.flatMap(statementsOf(effect), (found) => Effect.fail(new Undone({ found }))))
    .pipe(
      Effect.catch((error) => (error instanceof Undone ? Effect.succeed(error.found) : Effect.die(error)))
    )
  for (const [n, statement] of statements.entries())
    judge(
      `${name}${circumstance}`,
      yield* explained(statement),
      pages,
      n === statements.length - 1 ? indexes : []
    )
})

/** No statement of the platform scans a whole table, however many scheduled orders precede the due ones. */
export const plansContract = (scheduled: number, final: number) => {
  layer(patientStores, { excludeTestServices: true, timeout: "10 minutes" })(
    `the plans with ${scheduled} scheduled orders of priority 9`,
    (it) => {
      it.effect(
        "every statement uses its index and reads few pages; claim and settle also without statistics",
        () =>
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const s = `"${yield* DatabaseSchema}"`
            const stores = yield* allStores
            const numbers = yield* sql.withTransaction(crowd(scheduled, final))
            // These use their index whatever the statistics say, and without statistics.
            for (const each of work(stores, numbers)) yield* measure(each, ", no statistics")
            for (const table of Object.keys(neededRights)) yield* sql.unsafe(`VACUUM ANALYZE ${s}.${table}`)
            for (const each of [...work(stores, numbers), ...reads(stores, numbers), ...counts(stores)])
              yield* measure(each)
            yield* readyGroups
            for (const each of workWithGroups(stores)) yield* measure(each)
            yield* keysWithoutHead
            const claim = stores.work.claim({ worker: "x", lease, max: 1 })
            yield* measure(["claim of 1 after a look at 300 keys", claim, 25_000, []])
          }),
        600_000
      )
    }
  )
}
