import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer } from "effect"
import type { GroupLimits } from "../../src/domain/Groups.ts"
import { noLimits } from "../../src/domain/Groups.ts"
import type { NewOrder } from "../../src/domain/Order.ts"
import type { Turns } from "../../src/application/ports/WorkStore.ts"
import { storesOf, type AllStores } from "../../src/testing/AllStores.ts"
import { newOrder } from "../TestOrders.ts"
import { isFullScale, median, quantile, submitMany } from "./ManyOrders.ts"
import { ownServer } from "./OwnServer.ts"
import { readsOf } from "./Reads.ts"
import { storesOn } from "./StoresOn.ts"

const dueCount = isFullScale ? 1_000_000 : 100_000
const rounds = 25
const withinMs = 45 * 60_000
const groups = 10_000
const keys = 100_000
/** No order runs in one of this many groups. */
const freeEvery = 10
const batch = 100
const lease = Duration.hours(1)
const defaultLimits: GroupLimits = { ...noLimits, maxRunning: 1 }

const groupOf = (n: number) => `group-${String(n % groups).padStart(5, "0")}`

/**
 * A million due orders in 10,000 groups and 100,000 keys: half have a key, five to a key, of which four wait behind its
 * head. The orders of a key are in one group.
 */
const due = (n: number): NewOrder => {
  const half = Math.floor(n / 2)
  return newOrder({ group: groupOf(half), orderingKey: n % 2 === 0 ? null : `key ${half % keys}` })
}

/** As many orders as a claim takes, each in its own group and with its own key. */
const few = (n: number): NewOrder =>
  newOrder({ group: groupOf(n), orderingKey: n % 2 === 0 ? null : `key ${n}` })

/** A worker that claims 100 and completes them; returns how long the claim took. */
const claimerOf = ({ work }: AllStores) => {
  let turns: Turns = {}
  return Effect.gen(function* () {
    const began = performance.now()
    const claim = yield* work.claim({ worker: "claimer", lease, max: batch, turns, defaultLimits })
    const took = performance.now() - began
    turns = claim.turns
    assert.strictEqual(claim.orders.length, batch)
    yield* work.settle(claim.orders.map((order) => ({ order, outcome: { event: "completed" } as const })))
    return took
  })
}

type Query = Effect.Success<ReturnType<typeof ownServer>>["query"]

/** Claims until the checks of the submits are handled and a claim has examined everything, as a worker soon does. */
const handleChecks = ({ work }: AllStores, query: Query, max: number) =>
  Effect.gen(function* () {
    const began = Date.now()
    let claims = 0
    for (let left = true; left; claims++) {
      const claim = yield* work.claim({ worker: "claimer", lease, max, defaultLimits })
      const [row] = yield* query(
        "SELECT EXISTS (SELECT FROM order_key_checks) OR EXISTS (SELECT FROM order_lane_checks) AS any"
      )
      left = row?.["any"] === true || claim.isIncomplete
    }
    const seconds = ((Date.now() - began) / 1000).toFixed(0)
    console.log(`the checks of all submits were handled by ${claims} claims in ${seconds} s`)
  })

/** Autovacuum would add to the measured reads. */
const quiet = (query: Query) =>
  Effect.gen(function* () {
    yield* query("ALTER SYSTEM SET autovacuum = off")
    yield* query("SELECT pg_reload_conf()")
    yield* query("VACUUM ANALYZE")
  })

/** Whether orders of this group stay free to run; in all other groups one runs. */
const isFree = ({ group }: NewOrder) => Number(group?.slice(-5)) % freeEvery === 0

/**
 * Submits the orders of the groups that are to be full, starts one in each, and then submits those of the free groups.
 */
const submitMostlyBlocked = (stores: AllStores) =>
  Effect.gen(function* () {
    const all = Array.from({ length: dueCount }, (_, n) => n)
    const [free, full] = [all.filter((n) => isFree(due(n))), all.filter((n) => !isFree(due(n)))]
    yield* submitMany(stores, full.length, (n) => due(full[n] ?? 0))
    let turns: Turns = {}
    for (let started = 0; started < groups - groups / freeEvery;) {
      const claim = yield* stores.work.claim({ worker: "holder", lease, max: 500, turns, defaultLimits })
      turns = claim.turns
      started += claim.orders.length
      assert(claim.orders.length > 0 || claim.isIncomplete)
    }
    yield* submitMany(stores, free.length, (n) => due(free[n] ?? 0))
  })

const builtStores = (url: string, schema: string) =>
  Effect.map(Layer.build(storesOn(url, schema, 3)), storesOf)

const settings = { shared_buffers: "1GB", max_wal_size: "8GB" }

describe("a claim of 100", () => {
  it.live(
    `takes at most three times that of an empty system with ${dueCount} due orders, most of them blocked, and reads few pages`,
    () =>
      Effect.gen(function* () {
        const { query, url } = yield* ownServer({ settings })
        yield* query("CREATE SCHEMA small")
        const crowded = yield* builtStores(url, "public")
        const empty = yield* builtStores(url, "small")
        yield* submitMostlyBlocked(crowded)
        // Claims nothing, so that the free orders stay.
        yield* handleChecks(crowded, query, 0)
        yield* quiet(query)
        const claims = { crowded: claimerOf(crowded), empty: claimerOf(empty) }
        const prepare = submitMany(empty, batch, few)
        for (let n = 0; n < 15; n++) {
          yield* claims.crowded
          yield* Effect.andThen(prepare, claims.empty)
        }
        const times = { crowded: [] as Array<number>, empty: [] as Array<number> }
        for (let round = 0; round < rounds; round++) {
          times.crowded.push(yield* claims.crowded)
          times.empty.push(yield* Effect.andThen(prepare, claims.empty))
        }
        // The same claims on a single connection, which counts what they read.
        const one = yield* Layer.build(storesOn(url, "public", 1))
        const claim = claimerOf(storesOf(one))
        yield* Effect.repeat(claim, { times: 9 })
        const { reads } = yield* readsOf(Effect.repeat(claim, { times: 4 })).pipe(Effect.provideContext(one))
        const ratio = median(times.crowded) / median(times.empty)
        console.log(
          `claim of ${batch}: ${median(times.crowded).toFixed(1)} ms (p90 ${quantile(times.crowded, 0.9).toFixed(1)}) with ${dueCount} due orders, ` +
            `${median(times.empty).toFixed(1)} ms (p90 ${quantile(times.empty, 0.9).toFixed(1)}) in an empty system: ${ratio.toFixed(2)}; ` +
            `${Math.round(reads.pages / 5)} pages for claim and settle; rows scanned: ${JSON.stringify(reads.scannedRows)}`
        )
        assert.isAtMost(ratio, 3)
        // 100 orders: rows, side tables, events and their indexes, for claim and settle.
        assert.isBelow(reads.pages / 5, 20_000)
        for (const [table, rows] of Object.entries(reads.scannedRows)) assert.isBelow(rows / 5, 5000, table)
      }).pipe(Effect.scoped),
    withinMs
  )

  it.live(
    `takes at most three times that of an empty system with ${dueCount} scheduled orders of priority 9`,
    () =>
      Effect.gen(function* () {
        const { query, url } = yield* ownServer({ settings })
        yield* query("CREATE SCHEMA small")
        const crowded = yield* builtStores(url, "public")
        const empty = yield* builtStores(url, "small")
        const later = DateTime.addDuration(DateTime.nowUnsafe(), Duration.days(100))
        yield* submitMany(crowded, dueCount, (n) =>
          newOrder({
            priority: 9,
            notBefore: DateTime.addDuration(later, n),
            group: n % 2 === 0 ? null : groupOf(n),
            orderingKey: n % 4 === 1 ? `later ${n % keys}` : null
          })
        )
        yield* handleChecks(crowded, query, batch)
        yield* quiet(query)
        const claims = { crowded: claimerOf(crowded), empty: claimerOf(empty) }
        const times = { crowded: [] as Array<number>, empty: [] as Array<number> }
        for (let round = -5; round < rounds; round++)
          for (const [name, stores] of [
            ["crowded", crowded],
            ["empty", empty]
          ] as const) {
            yield* submitMany(stores, batch, few)
            const took = yield* claims[name]
            if (round >= 0) times[name].push(took)
          }
        const ratio = median(times.crowded) / median(times.empty)
        console.log(
          `claim of ${batch}: ${median(times.crowded).toFixed(1)} ms with ${dueCount} scheduled orders, ${median(times.empty).toFixed(1)} ms without: ${ratio.toFixed(2)}`
        )
        assert.isAtMost(ratio, 3)
      }).pipe(Effect.scoped),
    withinMs
  )
})
