import { assert, layer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { DeadLetterFilter, OrderFilter, Page, Position } from "../../../../src/domain/OrderQueries.ts"
import { allStores } from "../../../../src/testing/AllStores.ts"
import { OrderId } from "../../../../src/domain/OrderId.ts"
import { DatabaseSchema } from "../../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { maxExamined } from "../../../../src/infrastructure/postgres/Listing.ts"
import { maxOpen } from "../../../../src/infrastructure/postgres/watch/ListOrders.ts"
import * as TestPostgres from "../../../TestPostgres.ts"
import { explained, statementsOf } from "../Explained.ts"

const start = DateTime.makeUnsafe("2026-01-01T00:00:00Z")
const at = (seconds: number) => DateTime.add(start, { seconds })
const idOf = (n: number) => OrderId.make(`00000000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`)

/**
 * Fifty thousand orders, one a second: 20,000 PENDING, none of them retried but the first five; 20,000 FAILED after a
 * failed attempt, three of them by TIMEOUT; two PROCESSING; the rest PROCESSED. Nine in ten have shop 1, the first four
 * also a rare mark. Half are of type "box", 200 of type "rare"; each hundredth has group 1, each thousandth key 1.
 */
const fiftyThousand = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const s = `"${yield* DatabaseSchema}"`
  yield* sql.unsafe(`ALTER TABLE ${s}.orders DISABLE TRIGGER orders_guard_insert`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.orders (id, status, version, retry_count, max_retries, priority, due_at, worker, type, group_name,
      ordering_key, place, created_at, updated_at, correlation_id, payload_version, payload, metadata)
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, status, 3,
      CASE WHEN status = 'FAILED' OR n IN (1, 6, 11, 16, 21) THEN 1 ELSE 0 END, 3, 0,
      CASE WHEN status IN ('PENDING', 'PROCESSING') THEN moment END, CASE WHEN status = 'PROCESSING' THEN 'w' END,
      CASE WHEN n % 250 = 3 THEN 'rare' WHEN n % 2 = 0 THEN 'box' ELSE 'default' END,
      CASE WHEN n % 100 = 0 THEN '1' ELSE '' END, CASE WHEN n % 1000 = 0 THEN '1' ELSE '' END, CASE WHEN n % 1000 = 0 THEN n END,
      moment, moment, 'c', 1, jsonb_build_object('text', repeat('x', 300)),
      CASE WHEN n % 10 = 0 THEN '{}' ELSE '{"shop": "1"}' END::jsonb || CASE WHEN n <= 4 THEN '{"mark": "rare"}' ELSE '{}' END::jsonb
    FROM (
      SELECT n, timestamptz '${DateTime.formatIso(start)}' + n * interval '1 second' AS moment,
        CASE WHEN n IN (17, 30017) THEN 'PROCESSING' ELSE (ARRAY['PROCESSED', 'PENDING', 'PENDING', 'FAILED', 'FAILED'])[n % 5 + 1] END AS status
      FROM generate_series(1, 50000) AS n
    ) AS numbered`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.order_due (priority, group_name, type, due_at, order_id, is_retry)
    SELECT priority, group_name, type, due_at, id, retry_count > 0 FROM ${s}.orders WHERE status = 'PENDING'`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.order_running (worker, order_id, type, group_name)
    SELECT worker, id, type, group_name FROM ${s}.orders WHERE status = 'PROCESSING'`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.order_final (status, created_at, order_id, final_at)
    SELECT status, created_at, id, updated_at FROM ${s}.orders WHERE status IN ('PROCESSED', 'FAILED')`)
  yield* sql.unsafe(`
    INSERT INTO ${s}.dead_letters (order_id, reason, reason_code, retry_count, failed_at, fingerprint)
    SELECT id, CASE WHEN created_at < '${DateTime.formatIso(at(10))}' THEN 'very rare' ELSE 'card declined' END,
      CASE WHEN created_at < '${DateTime.formatIso(at(9))}' THEN 'TIMEOUT' ELSE 'PERMANENT' END, 1, updated_at,
      CASE WHEN created_at < '${DateTime.formatIso(at(9))}' THEN 'rare' ELSE 'often' END
    FROM ${s}.orders WHERE status = 'FAILED'`)
  for (const table of [
    "orders",
    "dead_letters",
    "order_metadata",
    "order_due",
    "order_running",
    "order_final"
  ])
    yield* sql.unsafe(`VACUUM ANALYZE ${s}.${table}`)
})

/** The pages (8 KiB) that the statements of a list read, and the tables that they scan. */
const measured = Effect.fnUntraced(function* <A, E, R>(list: Effect.Effect<A, E, R>) {
  const found = yield* Effect.forEach(yield* statementsOf(list), explained)
  return {
    pages: found.reduce((sum, { pages }) => sum + pages, 0),
    scanned: found.flatMap(({ scanned }) => scanned).filter((table) => table !== "order_running"),
    indexes: new Set(found.flatMap(({ indexes }) => [...indexes]))
  }
})

const first: Page = { limit: 50, after: null }
const middle: Page = { limit: 50, after: { at: at(25_000), orderId: idOf(25_000) } }

layer(TestPostgres.layer, { excludeTestServices: true })("lists of fifty thousand orders", (it) => {
  it.effect("read the end of an index with every filter, and never scan a table", () =>
    Effect.gen(function* () {
      yield* fiftyThousand
      const stores = yield* allStores
      const orders: ReadonlyArray<readonly [OrderFilter, index: string]> = [
        [{}, "orders_newest"],
        [{ status: "PROCESSING" }, "orders_pkey"],
        [{ status: "FAILED" }, "order_final_failed"],
        [{ retrying: true }, "order_due_retries"],
        [{ retrying: true, status: "FAILED" }, "order_due_retries"],
        [{ retrying: true, createdBefore: at(10) }, "order_due_retries"],
        [{ createdAfter: at(100), createdBefore: at(200) }, "orders_newest"],
        [{ createdBefore: at(3) }, "orders_newest"],
        [{ createdBefore: at(49_999) }, "orders_newest"],
        [{ status: "FAILED", createdAfter: at(49_990) }, "order_final_failed"],
        [{ type: "box" }, "orders_of_type"],
        [{ type: "rare" }, "orders_of_type"],
        [{ type: "none" }, "orders_of_type"],
        [{ type: "rare", createdBefore: at(1000) }, "orders_of_type"],
        [{ group: "1" }, "orders_of_group"],
        [{ group: "none" }, "orders_of_group"],
        [{ orderingKey: "1" }, "orders_of_key"],
        [{ orderingKey: "1", type: "box" }, "orders_of_key"],
        [{ metadata: { shop: "1" }, createdBefore: at(49_999) }, "order_metadata_pkey"],
        [{ metadata: { shop: "1" } }, "order_metadata_pkey"],
        [{ metadata: { shop: "1" }, createdBefore: at(100) }, "order_metadata_pkey"],
        [{ metadata: { mark: "rare" } }, "order_metadata_pkey"],
        [{ metadata: { none: "x" } }, "order_metadata_pkey"]
      ]
      const deadLetters: ReadonlyArray<DeadLetterFilter> = [
        {},
        { reasonCode: "PERMANENT" },
        { reasonCode: "TIMEOUT" },
        { reasonCode: "DEFECT" },
        { failedBefore: at(20) },
        { fingerprint: "often" },
        { fingerprint: "rare" },
        { fingerprint: "none" },
        { fingerprint: "often", failedAfter: at(49_000) },
        { reasonCode: "PERMANENT", failedAfter: at(49_000) }
      ]
      // One index search and 51 rows, on any page.
      for (const page of [first, middle]) {
        for (const [filter, index] of orders) {
          const { indexes, pages, scanned } = yield* measured(stores.reads.list(page, filter))
          assert.deepStrictEqual(scanned, [], JSON.stringify(filter))
          assert.isBelow(pages, 300, JSON.stringify([filter, page]))
          assert.include([...indexes], index, JSON.stringify([filter, page]))
        }
        for (const filter of deadLetters) {
          const { pages, scanned } = yield* measured(stores.deadLetters.list(page, filter))
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
        const searches: ReadonlyArray<OrderFilter> = [
          { metadata: { shop: "1" }, status: "PROCESSING" },
          { metadata: { shop: "1" }, retrying: true },
          { metadata: { shop: "1", mark: "rare" } },
          { type: "box", metadata: { mark: "rare" } },
          { type: "box", group: "1", status: "PROCESSING" },
          // Rare or frequent, and with no index of its own.
          { status: "PROCESSED" },
          { status: "PROCESSED", type: "rare" },
          { status: "FAILED", type: "rare" },
          { status: "FAILED", group: "1" },
          { type: "default" }
        ]
        for (const filter of searches) {
          for (const page of [first, middle]) {
            const { pages, scanned } = yield* measured(stores.reads.list(page, filter))
            assert.deepStrictEqual(scanned, [], JSON.stringify(filter))
            // A primary key search and a row for each of 2,000 orders.
            assert.isBelow(pages, maxExamined * 5, JSON.stringify([filter, page]))
          }
        }
        const reason = yield* measured(stores.deadLetters.list(first, { reason: "very rare" }))
        assert.deepStrictEqual(reason.scanned, [])
        assert.isBelow(reason.pages, maxExamined)
        const ofGroup = yield* measured(
          stores.deadLetters.list(first, { fingerprint: "often", reasonCode: "TIMEOUT" })
        )
        assert.deepStrictEqual(ofGroup.scanned, [])
        assert.isBelow(ofGroup.pages, maxExamined)

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
        const [processing, retrying, rare] = yield* Effect.forEach(searches.slice(0, 3), follow)
        assert.deepStrictEqual(processing?.found, [idOf(30_017), idOf(17)])
        assert.deepStrictEqual(retrying?.found, [21, 16, 11, 6, 1].map(idOf))
        assert.deepStrictEqual(rare?.found, [4, 3, 2, 1].map(idOf))
        for (const search of [processing, retrying, rare])
          assert.isAtMost(search?.pages ?? 0, 45_000 / maxExamined + 4)
      })
  )

  it.effect(
    "of PENDING orders are made from all of them, or from the newest orders of every status if there are too many",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const due = sql(`${yield* DatabaseSchema}.order_due`)
        const stores = yield* allStores
        const list = (page: Page) => stores.reads.list(page, { status: "PENDING" })
        const isOpen = (n: number) => [1, 2].includes(n % 5) && n !== 17 && n !== 30_017
        const newest = (from: number) =>
          Array.from({ length: 200 }, (_, back) => from - back)
            .filter(isOpen)
            .slice(0, 50)
            .map(idOf)
        for (const [page, from] of [
          [first, 50_000],
          [middle, 24_999]
        ] as const) {
          const many = yield* measured(list(page))
          assert.deepStrictEqual(many.scanned, [])
          assert.isBelow(many.pages, maxExamined * 5)
          assert.include([...many.indexes], "orders_newest")
          assert.deepStrictEqual(
            (yield* list(page)).entries.map(({ id }) => id),
            newest(from)
          )
        }
        // The oldest orders are left, which a search from the newest on would not reach.
        yield* sql
          .withTransaction(
            Effect.gen(function* () {
              yield* sql`DELETE FROM ${due} WHERE due_at > ${DateTime.toDateUtc(at(20_000))}`
              const few = yield* measured(list(first))
              assert.isBelow(few.pages, maxOpen * 5)
              assert.deepStrictEqual(
                (yield* list(first)).entries.map(({ id }) => id),
                newest(20_000)
              )
              return yield* Effect.fail("undone" as const)
            })
          )
          .pipe(Effect.flip)
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
