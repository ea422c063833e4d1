import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import type { FailureGroupPosition } from "../../src/domain/FailureGroup.ts"
import { allStores } from "../../src/testing/AllStores.ts"
import { isFullScale } from "./ManyOrders.ts"
import { ownServer } from "./OwnServer.ts"
import { readsOf } from "./Reads.ts"
import { storesOn } from "./StoresOn.ts"

/** How many dead letters. */
const count = isFullScale ? 1_000_000 : 100_000
const slice = 100_000
const groups = 200

/** Inserts dead letters without their orders, of 200 groups of different sizes. */
const sliceOf = (from: number, size: number) => `
  DO $$ BEGIN
    SET LOCAL session_replication_role = replica;
    INSERT INTO dead_letters (order_id, reason, reason_code, retry_count, failed_at, fingerprint)
    SELECT (lpad(to_hex(n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, 'order ' || n || ' is broken',
      'PERMANENT', 1, now() - interval '1 second' * (${count} - n),
      lpad(to_hex(CASE WHEN n % 3 = 0 THEN 0 ELSE n % ${groups} END), 16, '0')
    FROM generate_series(${from}, ${from + size - 1}) AS n;
  END $$`

const groupsOfEntries = `
  INSERT INTO order_failure_groups (fingerprint, type, reason_code, message, count, first_seen, last_seen, versions)
  SELECT fingerprint, 'default', 'PERMANENT', 'order # is broken', count(*), min(failed_at), max(failed_at), '{1}'
  FROM dead_letters GROUP BY fingerprint`

/** Reads a page twice; judges the second, since the first also reads the catalog. */
const judged = <A, E, R>(name: string, list: Effect.Effect<ReadonlyArray<A>, E, R>) =>
  Effect.gen(function* () {
    yield* list
    const seen = yield* readsOf(Effect.timed(list))
    const [took, found] = seen.result
    const { indexes, pages, scannedRows } = seen.reads
    console.log(
      `${name}: ${found.length} entries, ${pages} pages, ${Duration.toMillis(took).toFixed(1)} ms, ${indexes.join(" ")}`
    )
    for (const [table, rows] of Object.entries(scannedRows))
      assert.isBelow(rows, 1000, `${name} scans ${table}`)
    assert.isBelow(pages, 2000, name)
    assert.isBelow(Duration.toMillis(took), 100, name)
    return { found, indexes }
  })

describe(`failure groups of ${count} dead letters`, () => {
  it.live(
    "are listed in less than 100 ms, by index",
    () =>
      Effect.gen(function* () {
        const { query, url } = yield* ownServer({
          settings: { autovacuum: "off", shared_buffers: "1GB", max_wal_size: "8GB" }
        })
        const context = yield* Layer.build(storesOn(url, "public", 1))
        for (let from = 1; from <= count; from += slice)
          yield* query(sliceOf(from, Math.min(slice, count - from + 1)))
        yield* query(groupsOfEntries)
        for (const table of ["dead_letters", "order_failure_groups"]) yield* query(`VACUUM ANALYZE ${table}`)
        yield* Effect.gen(function* () {
          const { deadLetters } = yield* allStores
          const page = (after: FailureGroupPosition | null) =>
            deadLetters.failureGroups({ limit: 200, after })
          const first = yield* judged("all groups", page(null))
          assert.strictEqual(first.found.length, groups)
          assert.include(first.indexes, "dead_letters_of_group")
          const middle = first.found[100]
          assert(middle !== undefined)
          const rest = yield* judged("further groups", page(middle))
          assert.deepStrictEqual(rest.found, first.found.slice(101))
          for (const { fingerprint } of [first.found[0]!, first.found.at(-1)!]) {
            const list = Effect.map(
              deadLetters.list({ limit: 50, after: null }, { fingerprint }),
              ({ entries }) => entries
            )
            const { found, indexes } = yield* judged(`entries of ${fingerprint}`, list)
            assert.include(indexes, "dead_letters_of_group")
            for (const entry of found) assert.strictEqual(entry.fingerprint, fingerprint)
          }
        }).pipe(Effect.provideContext(context))
      }).pipe(Effect.scoped),
    30 * 60_000
  )
})
