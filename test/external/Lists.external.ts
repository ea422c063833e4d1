import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import type { Listing, OrderFilter, Page } from "../../src/domain/OrderQueries.ts"
import { storesOf } from "../../src/testing/AllStores.ts"
import { ownServer } from "./OwnServer.ts"
import { readsOf } from "./Reads.ts"
import { storesOn } from "./StoresOn.ts"

/** How many final orders: LISTS_FINAL=200000 makes a short form. */
const count = Number(process.env["LISTS_FINAL"] ?? 5_000_000)
const slice = 100_000

/**
 * Inserts final orders with their rows in order_final, without guards and history: a twentieth FAILED, one in 20,000 of the type
 * "rare", 10,000 groups, 100,000 keys; half have a group, half a key.
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

const filters: ReadonlyArray<readonly [filter: OrderFilter, pages: number]> = [
  [{}, 500],
  [{ status: "PROCESSED" }, 500],
  [{ status: "FAILED" }, 500],
  [{ status: "PENDING" }, 200],
  [{ status: "PROCESSING" }, 200],
  [{ retrying: true }, 200],
  [{ type: "type-1" }, 500],
  [{ type: "rare" }, 500],
  [{ group: "group-40" }, 500],
  [{ orderingKey: "key 4242" }, 500],
  [{ type: "type-0", orderingKey: "key 60000" }, 500],
  // Combined filters examine a bounded stretch.
  [{ status: "FAILED", type: "rare" }, 6000],
  [{ status: "FAILED", group: "group-40" }, 6000],
  [{ status: "FAILED", type: "type-1" }, 6000],
  [{ type: "rare", group: "group-40" }, 6000]
]

describe("lists of orders", () => {
  it.live(`find their page by index among ${count} final orders`, () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer({
        settings: {
          autovacuum: "off",
          shared_buffers: "2GB",
          max_wal_size: "8GB",
          maintenance_work_mem: "512MB"
        }
      })
      const { reads } = storesOf(yield* Layer.build(storesOn(url, "public", 1)))
      for (let from = 1; from <= count; from += slice)
        yield* query(sliceOf(from, Math.min(slice, count - from + 1)))
      for (const table of ["orders", "order_final"]) yield* query(`VACUUM ANALYZE ${table}`)
      const lines: Array<string> = []
      for (const [filter, limit] of filters) {
        const name = JSON.stringify(filter)
        const list = (after: Page["after"]) => reads.list({ limit: 50, after }, filter)
        // The first list of a connection also reads the catalog.
        const first = yield* list(null)
        const seen = yield* readsOf(query, Effect.timed(Effect.repeat(list(first.next), { times: 4 })))
        const [took, page] = seen.result as unknown as [Duration.Duration, Listing<unknown>]
        const pages = Math.round(seen.reads.pages / 5)
        lines.push(
          `${name}: ${first.entries.length} and ${page.entries.length} orders, ${pages} pages, ${(Duration.toMillis(took) / 5).toFixed(1)} ms`
        )
        for (const [table, rows] of Object.entries(seen.reads.scannedRows))
          assert.isBelow(rows / 5, 1000, `${name} scans ${table}`)
        assert.isBelow(pages, limit, name)
        for (const { type } of first.entries)
          if (filter.type !== undefined) assert.strictEqual(type, filter.type)
      }
      console.log(lines.join("\n"))
    }).pipe(Effect.scoped)
  )
})
