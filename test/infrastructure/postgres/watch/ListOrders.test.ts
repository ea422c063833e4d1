import { assert, layer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { SqlClient, type Statement } from "effect/sql"
import type { DeadLetterFilter, OrderFilter, Page, Position } from "../../../../src/domain/OrderQueries.ts"
import { allStores } from "../../../../src/testing/AllStores.ts"
import { OrderId } from "../../../../src/domain/OrderId.ts"
import { DatabaseSchema } from "../../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { listDeadLettersStatement } from "../../../../src/infrastructure/postgres/dead-letters/ListDeadLetters.ts"
import { maxExamined } from "../../../../src/infrastructure/postgres/Listing.ts"
import { listOrdersStatement } from "../../../../src/infrastructure/postgres/watch/ListOrders.ts"
import * as TestPostgres from "../../../TestPostgres.ts"

const start = DateTime.makeUnsafe("2026-01-01T00:00:00Z")
const at = (seconds: number) => DateTime.add(start, { seconds })
const idOf = (n: number) => OrderId.make(`00000000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`)

/**
 * Fifty thousand orders, one a second: 20,000 PENDING, none of them retried but the first five; 20,000 FAILED after a
 * failed attempt, three of them by TIMEOUT; two PROCESSING; the rest PROCESSED. Nine in ten have shop 1, the first four
 * also a rare mark.
 */
const fiftyThousand = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const s = `"${yield* DatabaseSchema}"`
  yield* sql.unsafe(`ALTER TABLE ${s}.orders DISABLE TRIGGER orders_guard_insert`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.orders (id, status, version, retry_count, max_retries, priority, due_at, worker, lease_until,
      failure_reason, created_at, updated_at, correlation_id, payload_version, payload, metadata)
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, status, 3,
      CASE WHEN status = 'FAILED' OR n IN (1, 6, 11, 16, 21) THEN 1 ELSE 0 END, 3, 0,
      CASE WHEN status IN ('PENDING', 'PROCESSING') THEN moment END,
      CASE WHEN status = 'PROCESSING' THEN 'w' END, CASE WHEN status = 'PROCESSING' THEN moment END,
      NULL, moment, moment, 'c', 1, jsonb_build_object('text', repeat('x', 300)),
      CASE WHEN n % 10 = 0 THEN '{}' ELSE '{"shop": "1"}' END::jsonb || CASE WHEN n <= 4 THEN '{"mark": "rare"}' ELSE '{}' END::jsonb
    FROM (
      SELECT n, timestamptz '${DateTime.formatIso(start)}' + n * interval '1 second' AS moment,
        CASE WHEN n IN (17, 30017) THEN 'PROCESSING' ELSE (ARRAY['PROCESSED', 'PENDING', 'PENDING', 'FAILED', 'FAILED'])[n % 5 + 1] END AS status
      FROM generate_series(1, 50000) AS n
    ) AS numbered`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.dead_letters (order_id, reason, reason_code, retry_count, failed_at)
    SELECT id, CASE WHEN created_at < '${DateTime.formatIso(at(10))}' THEN 'very rare' ELSE 'card declined' END,
      CASE WHEN created_at < '${DateTime.formatIso(at(9))}' THEN 'TIMEOUT' ELSE 'PERMANENT' END, 1, updated_at
    FROM ${s}.orders WHERE status = 'FAILED'`)
  for (const table of ["orders", "dead_letters", "order_metadata"])
    yield* sql.unsafe(`VACUUM ANALYZE ${s}.${table}`)
})

interface Plan {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Shared Hit Blocks": number
  readonly "Shared Read Blocks": number
  readonly "Actual Rows": number
  readonly Plans?: ReadonlyArray<Plan>
}
const nodes = (plan: Plan): ReadonlyArray<Plan> => [plan, ...(plan.Plans ?? []).flatMap(nodes)]

/** The plan of a statement and the number of pages (8 KiB) that it reads. */
const explained = Effect.fnUntraced(function* (statement: Statement.Statement<unknown>) {
  const sql = yield* SqlClient.SqlClient
  const [text, parameters] = statement.compile()
  const [row] = yield* sql.unsafe<{ "QUERY PLAN": ReadonlyArray<{ readonly Plan: Plan }> }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
    parameters
  )
  const plan = row?.["QUERY PLAN"][0]?.Plan
  assert(plan !== undefined)
  return {
    pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
    scanned: nodes(plan).filter(
      (node) => /Seq Scan|Bitmap/.test(node["Node Type"]) && node["Relation Name"] !== undefined
    )
  }
})

const first: Page = { limit: 50, after: null }
const middle: Page = { limit: 50, after: { at: at(25_000), orderId: idOf(25_000) } }

layer(TestPostgres.layer, { excludeTestServices: true })("lists of fifty thousand orders", (it) => {
  const listings = Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const schema = yield* DatabaseSchema
    return {
      ordersOf: listOrdersStatement(sql, schema),
      deadLettersOf: listDeadLettersStatement(sql, schema)
    }
  })

  it.effect("read the end of an index with every filter, and never scan a table", () =>
    Effect.gen(function* () {
      yield* fiftyThousand
      const { deadLettersOf, ordersOf } = yield* listings
      const orders: ReadonlyArray<OrderFilter> = [
        {},
        { status: "PENDING" },
        { status: "PROCESSING" },
        { status: "PROCESSED" },
        { status: "FAILED" },
        { retrying: true },
        { retrying: true, status: "FAILED" },
        { createdAfter: at(100), createdBefore: at(200) },
        { createdBefore: at(3) },
        { createdBefore: at(49_999) },
        { metadata: { shop: "1" }, createdBefore: at(49_999) },
        { status: "FAILED", createdAfter: at(49_990) },
        { retrying: true, createdBefore: at(10) },
        { metadata: { shop: "1" } },
        { metadata: { shop: "1" }, createdBefore: at(100) },
        { metadata: { mark: "rare" } },
        { metadata: { none: "x" } }
      ]
      const deadLetters: ReadonlyArray<DeadLetterFilter> = [
        {},
        { reasonCode: "PERMANENT" },
        { reasonCode: "TIMEOUT" },
        { reasonCode: "DEFECT" },
        { failedBefore: at(20) },
        { reasonCode: "PERMANENT", failedAfter: at(49_000) }
      ]
      // One index search and 51 rows at any place; for all orders in four statuses.
      for (const page of [first, middle]) {
        for (const filter of orders) {
          const { pages, scanned } = yield* explained(ordersOf(page, filter))
          assert.deepStrictEqual(scanned, [], JSON.stringify(filter))
          assert.isBelow(pages, 250, JSON.stringify([filter, page]))
        }
        for (const filter of deadLetters) {
          const { pages, scanned } = yield* explained(deadLettersOf(page, filter))
          assert.deepStrictEqual(scanned, [], JSON.stringify(filter))
          assert.isBelow(pages, 20, JSON.stringify([filter, page]))
        }
      }
    })
  )

  it.effect(
    "examine at most a fixed number of entries per page, also for rare matches of a frequent filter",
    () =>
      Effect.gen(function* () {
        const stores = yield* allStores
        const { deadLettersOf, ordersOf } = yield* listings
        const searches: ReadonlyArray<OrderFilter> = [
          { metadata: { shop: "1" }, status: "PROCESSING" },
          { metadata: { shop: "1" }, retrying: true },
          { metadata: { shop: "1", mark: "rare" } }
        ]
        for (const filter of searches) {
          for (const page of [first, middle]) {
            const { pages, scanned } = yield* explained(ordersOf(page, filter))
            assert.deepStrictEqual(scanned, [], JSON.stringify(filter))
            // A primary key search and a row for each of 2,000 orders.
            assert.isBelow(pages, maxExamined * 5, JSON.stringify([filter, page]))
          }
        }
        const reason = yield* explained(deadLettersOf(first, { reason: "very rare" }))
        assert.deepStrictEqual(reason.scanned, [])
        assert.isBelow(reason.pages, maxExamined)

        const follow = Effect.fnUntraced(function* (filter: OrderFilter) {
          const found: Array<OrderId> = []
          let pages = 0
          let after: Position | null = null
          do {
            const page = (yield* stores.reads.list({ limit: 2, after }, filter)) as {
              readonly entries: ReadonlyArray<{ readonly id: OrderId }>
              readonly next: Position | null
            }
            found.push(...page.entries.map(({ id }) => id))
            after = page.next
            pages++
          } while (after !== null)
          return { found, pages }
        })
        const [processing, retrying, rare] = yield* Effect.forEach(searches, follow)
        assert.deepStrictEqual(processing?.found, [idOf(30_017), idOf(17)])
        assert.deepStrictEqual(retrying?.found, [21, 16, 11, 6, 1].map(idOf))
        assert.deepStrictEqual(rare?.found, [4, 3, 2, 1].map(idOf))
        for (const search of [processing, retrying, rare])
          assert.isAtMost(search?.pages ?? 0, 45_000 / maxExamined + 4)
      })
  )

  it.effect("are estimated in the stats, and marked so, if many are final", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const { byStatus, deadLetters, estimated, retrying, truncated } = yield* stores.reads.stats
      assert.deepStrictEqual(
        [byStatus.PENDING, byStatus.PROCESSING, retrying, deadLetters, truncated],
        [19_998, 2, 5, 20_000, false]
      )
      assert.deepStrictEqual(estimated, ["FAILED"])
      assert.isBelow(Math.abs(byStatus.FAILED - 20_000), 2_000)
      assert.strictEqual(byStatus.PROCESSED, 10_000)
    })
  )

  it.effect("lose the metadata of a deleted order, and of no other", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const schema = yield* DatabaseSchema
      const stores = yield* allStores
      const count = Effect.map(
        sql<{ count: number }>`SELECT count(*)::int AS count FROM ${sql(`${schema}.order_metadata`)}`,
        ([row]) => row?.count ?? 0
      )
      const before = yield* count
      const rare = { metadata: { mark: "rare" } }
      // Order 3 and 4 FAILED, 1 and 2 PENDING.
      yield* sql`DELETE FROM ${sql(`${schema}.orders`)} WHERE id = ${idOf(3)}::uuid`
      assert.strictEqual(yield* count, before - 2)
      const { entries } = yield* stores.reads.list(first, rare)
      assert.deepStrictEqual(
        entries.map(({ id }) => id),
        [4, 2, 1].map(idOf)
      )
    })
  )
})
