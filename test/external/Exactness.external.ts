import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { overlapsWithinKeys, runningByGroup, startsAboveRate } from "../../chaos/Records.ts"
import type { Turns } from "../../src/application/ports/WorkStore.ts"
import { noLimits } from "../../src/domain/Groups.ts"
import type { NewOrder } from "../../src/domain/Order.ts"
import { allStores, type AllStores } from "../../src/testing/AllStores.ts"
import { newOrder } from "../TestOrders.ts"
import { submitMany } from "./ManyOrders.ts"
import { ownServer } from "./OwnServer.ts"
import { storesOn } from "./StoresOn.ts"

const runMs = 20_000
const dieAfterMs = 6000
const lease = Duration.seconds(2)
const maxRunning = 3
const ratePerSecond = 20
const defaultMaxRunning = 5

const groups = ["limited", "rated", "both", "default"] as const

/** More orders than can run, so that every limit is reached; some have ordering keys, and a few no group. */
const orderOf = (n: number): NewOrder =>
  newOrder({
    group: n % 50 === 0 ? null : (groups[n % 4] ?? null),
    orderingKey: n % 5 === 0 ? `key ${n % 35}` : null,
    priority: n % 3,
    maxRetries: 20
  })

/** Claims, settles and expires as a worker does, until the run ends or it dies with the orders that it holds. */
const work = Effect.fnUntraced(function* (
  { work }: AllStores,
  name: string,
  { diesAt, until }: { readonly until: number; readonly diesAt: number }
) {
  let turns: Turns = {}
  let held = 0
  let claims = 0
  while (Date.now() < until) {
    const claim = yield* work.claim({
      worker: name,
      lease,
      max: 10 - held,
      turns,
      defaultLimits: { ...noLimits, maxRunning: defaultMaxRunning }
    })
    claims++
    turns = claim.turns
    if (Date.now() > diesAt && claim.orders.length > 0) return claims
    held += claim.orders.length
    yield* Effect.forEach(
      claim.orders,
      (order) =>
        Effect.gen(function* () {
          yield* Effect.sleep(2 + Math.random() * 30)
          const released = Math.random() < 0.1
          yield* work.settle([
            { order, outcome: released ? { event: "released", detail: "test" } : { event: "completed" } }
          ])
          held--
        }),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.forkScoped)
    if (Math.random() < 0.05) yield* work.expire(100)
    yield* Effect.sleep(Math.random() * 10)
  }
  return claims
})

describe("limits of groups on PostgreSQL", () => {
  it.live("hold exactly over 8 workers that claim at the same time, one of which dies", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer()
      const context = yield* Layer.build(storesOn(url, "public", 16))
      const stores = yield* allStores.pipe(Effect.provideContext(context))
      yield* stores.control.setGroupLimits("limited", { ...noLimits, maxRunning })
      yield* stores.control.setGroupLimits("rated", { ...noLimits, ratePerSecond })
      yield* stores.control.setGroupLimits("both", { ...noLimits, maxRunning, ratePerSecond })
      yield* submitMany(stores, 20_000, orderOf)

      const began = Date.now()
      const until = began + runMs
      const claims = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, n) => n),
        (n) => work(stores, `w${n}`, { until, diesAt: n === 3 ? began + dieAfterMs : Infinity }),
        { concurrency: 8 }
      ).pipe(Effect.scoped)

      const limits: Readonly<Record<string, number>> = {
        limited: maxRunning,
        rated: defaultMaxRunning,
        both: maxRunning,
        default: defaultMaxRunning
      }
      const highest = yield* query(
        `SELECT group_name, max(running)::int AS running, count(*)::int AS starts FROM (${runningByGroup()}) r GROUP BY 1 ORDER BY 1`
      )
      const rates = `VALUES ('rated', ${ratePerSecond}), ('both', ${ratePerSecond})`
      const above = yield* query(
        startsAboveRate(`SELECT * FROM (${rates}) AS r (group_name, rate)`) + " ORDER BY 1"
      )
      const expired = yield* query("SELECT count(*)::int AS n FROM order_events WHERE event = 'expired'")
      console.log(
        `${claims.reduce((a, b) => a + b)} claims, ${expired[0]?.["n"]} orders of the dead worker expired; ` +
          highest
            .map((g) => `${g["group_name"]}: ${g["starts"]} starts, at most ${g["running"]}`)
            .join("; ") +
          `; above the rate by at most ${above.map((g) => Number(g["above"]).toFixed(3)).join(" and ")}`
      )
      assert.isAbove(Number(expired[0]?.["n"]), 0, "the dead worker held orders")
      assert.deepStrictEqual(
        yield* query(overlapsWithinKeys()),
        [],
        "no two orders of a key ran at the same time"
      )
      for (const { group_name, running, starts } of highest) {
        const group = String(group_name)
        // The limit was reached, so it was tested.
        assert.strictEqual(
          running,
          limits[group],
          `${group}: the highest number of attempts at the same time`
        )
        if (group === "rated")
          assert.isAbove(Number(starts), 0.8 * ratePerSecond * (runMs / 1000), `${group}: its rate was used`)
      }
      // Times have whole milliseconds, so a start may seem a millisecond earlier than it was.
      for (const group of above) assert.isAtMost(Number(group["above"]), 0.001 * ratePerSecond)
    }).pipe(Effect.scoped)
  )
})
