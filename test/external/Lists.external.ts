import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import type { ListedOrder, OrderFilter } from "../../src/domain/OrderQueries.ts"
import { allStores } from "../../src/testing/AllStores.ts"
import { isFullScale } from "./ManyOrders.ts"
import { ownServer } from "./OwnServer.ts"
import { readsOf } from "./Reads.ts"
import { storesOn } from "./StoresOn.ts"

/** How many final orders. */
const count = isFullScale ? 5_000_000 : 300_000
const slice = 100_000

/**
 * Inserts final orders with their rows in order_final, without guards and history: a twentieth FAILED, one in 20,000 of
 * the type "rare", 10,000 groups, 100,000 keys; half have a group, half a key.
 */
const sliceOf = (from: number, size: number) => `
  DO $$ BEGIN
    SET LOCAL session_replication_role = replica;
    WITH stored AS (
      INSERT INTO orders (id, status, version, max_retries, priority, type, ordering_key, place, group_name, created_at, updated_at,
        correlation_id, payload_version, payload, metadata)
      SELECT (lpad(to_hex(n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
        CASE WHEN n % 20 = 0 THEN 'FAILED' ELSE 'PROCESSED' END, 3, 3, 0,
        CASE WHEN n % 20000 = 0 THEN 'rare' ELSE 'type-' || n % 5 END,
        CASE WHEN n % 2 = 0 THEN 'key ' || n % 100000 ELSE '' END, CASE WHEN n % 2 = 0 THEN n END,
        CASE WHEN n % 4 < 2 THEN 'group-' || n % 10000 ELSE '' END,
        now() - interval '1 second' * (${count} - n), now() - interval '1 second' * (${count} - n),
        'test', 1, '{"item": "book", "quantity": 1}', '{}'
      FROM generate_series(${from}, ${from + size - 1}) AS n
      RETURNING id, status, created_at, updated_at
    )
    INSERT INTO order_final (status, created_at, order_id, final_at) SELECT status, created_at, id, updated_at FROM stored;
  END $$`

const filters: ReadonlyArray<readonly [filter: OrderFilter, pages: number, index: string]> = [
  [{}, 1000, "orders_newest"],
  [{ status: "PROCESSED" }, 1000, "orders_newest"],
  [{ status: "FAILED" }, 1000, "order_final_failed"],
  [{ status: "PENDING" }, 100, "orders_pkey"],
  [{ status: "PROCESSING" }, 100, "orders_pkey"],
  [{ retrying: true }, 100, "orders_pkey"],
  [{ type: "type-1" }, 1000, "orders_of_type"],
  [{ type: "rare" }, 1000, "orders_of_type"],
  [{ group: "group-40" }, 1000, "orders_of_group"],
  [{ orderingKey: "key 4242" }, 1000, "orders_of_key"],
  [{ type: "type-0", orderingKey: "key 60000" }, 1000, "orders_of_key"],
  // Combined filters examine up to 2000 entries of one index.
  [{ status: "FAILED", type: "rare" }, 20_000, "orders_of_type"],
  [{ status: "FAILED", group: "group-40" }, 20_000, "orders_of_group"],
  [{ status: "FAILED", type: "type-1" }, 20_000, "orders_of_type"],
  [{ type: "rare", group: "group-40" }, 20_000, "orders_of_group"]
]

const matches = (order: ListedOrder, { group, orderingKey, status, type }: OrderFilter) =>
  (status === undefined || order.status === status) &&
  (type === undefined || order.type === type) &&
  (group === undefined || order.group === group) &&
  (orderingKey === undefined || order.orderingKey === orderingKey)

/** Reads two pages of each list; judges the second, since the first also reads the catalog. */
const judgeLists = Effect.gen(function* () {
  const { reads } = yield* allStores
  for (const [filter, limit, index] of filters) {
    const name = JSON.stringify(filter)
    const first = yield* reads.list({ limit: 50, after: null }, filter)
    const seen = yield* readsOf(Effect.timed(reads.list({ limit: 50, after: first.next }, filter)))
    const [took, second] = seen.result
    const { indexes, pages, scannedRows } = seen.reads
    console.log(
      `${name}: ${first.entries.length} and ${second.entries.length} orders, ${pages} pages, ` +
        `${Duration.toMillis(took).toFixed(1)} ms, ${indexes.join(" ")}`
    )
    for (const order of [...first.entries, ...second.entries]) assert.isTrue(matches(order, filter), name)
    for (const [table, rows] of Object.entries(scannedRows))
      assert.isBelow(rows, 1000, `${name} scans ${table}`)
    assert.isBelow(pages, limit, name)
    if (first.entries.length > 0) assert.include(indexes, index, name)
  }
})

describe("lists of orders", () => {
  it.live(
    `find their page by index among ${count} final orders`,
    () =>
      Effect.gen(function* () {
        const { query, url } = yield* ownServer({
          settings: {
            autovacuum: "off",
            shared_buffers: "2GB",
            max_wal_size: "8GB",
            maintenance_work_mem: "512MB"
          }
        })
        const context = yield* Layer.build(storesOn(url, "public", 1))
        for (let from = 1; from <= count; from += slice)
          yield* query(sliceOf(from, Math.min(slice, count - from + 1)))
        for (const table of ["orders", "order_final"]) yield* query(`VACUUM ANALYZE ${table}`)
        yield* judgeLists.pipe(Effect.provideContext(context))
      }).pipe(Effect.scoped),
    30 * 60_000
  )
})
