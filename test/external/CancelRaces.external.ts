import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Result } from "effect"
import { SqlClient } from "effect/sql"
import { failure } from "../../src/domain/Failure.ts"
import type { Outcome, ProcessingOrder } from "../../src/domain/Order.ts"
import type { OrderId } from "../../src/domain/OrderId.ts"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { allStores, type AllStores } from "../../src/testing/AllStores.ts"
import { call, eventually, start, submit, withOwnSchema } from "../processes/OrderPlatformProcess.ts"
import { newOrder } from "../TestOrders.ts"
import { median, submitMany } from "./ManyOrders.ts"
import { ownServer } from "./OwnServer.ts"
import { storesOn } from "./StoresOn.ts"

const races = 1000
const lease = Duration.minutes(1)

const outcomes: ReadonlyArray<Outcome> = [
  { event: "completed" },
  { event: "retried", failure: failure("PROCESSING_FAILED", "later"), delay: Duration.zero },
  { event: "failed", failure: failure("PERMANENT", "never") },
  { event: "released", detail: "test" },
  { event: "snoozed", delay: Duration.zero, detail: null }
]

/** The answer to a cancel: the status and version of the order at that time, or null for a conflict. */
interface CancelAnswer {
  readonly id: OrderId
  readonly seen: { readonly status: string; readonly version: number } | null
}

const shortly = Effect.suspend(() => Effect.sleep(Math.random() * 6))

const cancel = ({ control }: AllStores, id: OrderId) =>
  Effect.gen(function* () {
    yield* shortly
    const answer = yield* Effect.result(control.cancel(id, { reason: "raced" }))
    if (Result.isSuccess(answer)) return { id, seen: answer.success }
    assert.strictEqual(answer.failure._tag, "OrderStateConflict")
    return { id, seen: null }
  }) satisfies Effect.Effect<CancelAnswer, unknown>

/** Stores an outcome of each order. A completed order that is alone is stored with writes, all others without. */
const settle = ({ work }: AllStores, orders: ReadonlyArray<ProcessingOrder>) =>
  Effect.gen(function* () {
    yield* shortly
    const settlements = orders.map((order) => ({
      order,
      outcome: outcomes[Math.floor(Math.random() * outcomes.length)] ?? { event: "completed" as const }
    }))
    const [first] = settlements
    if (settlements.length === 1 && first?.outcome.event === "completed")
      return yield* work.settleWithWrites(first, Effect.void)
    return yield* work.settle(settlements)
  })

/** Starts and completes the orders that were retried, released or snoozed. */
const goOn = ({ work }: AllStores) =>
  Effect.gen(function* () {
    for (let n = 0; n < 40; n++) {
      yield* shortly
      const { orders } = yield* work.claim({ worker: "second", lease, max: 50 })
      yield* work.settle(orders.map((order) => ({ order, outcome: { event: "completed" } as const })))
    }
  })

/** Some orders stay waiting, some are held by a worker whose lease has ended, most are settled; all are cancelled. */
const race = Effect.fnUntraced(function* (stores: AllStores) {
  const { work } = stores
  const ids: Array<OrderId> = []
  yield* submitMany(stores, races, (n) => {
    const order = newOrder({ maxRetries: 1 + (n % 3), orderingKey: n % 10 === 0 ? `key ${n % 50}` : null })
    ids.push(order.id)
    return order
  })
  const lost = yield* work.claim({ worker: "lost", lease: Duration.zero, max: races / 10 })
  const { orders } = yield* work.claim({ worker: "first", lease, max: (races * 7) / 10 })
  const groups: Array<Array<ProcessingOrder>> = []
  for (let n = 0; n < orders.length;) {
    const size = 1 + (n % 8)
    groups.push(orders.slice(n, n + size))
    n += size
  }
  const expire = Effect.repeat(Effect.andThen(shortly, work.expire(10)), { times: lost.orders.length / 5 })
  const steps: ReadonlyArray<Effect.Effect<CancelAnswer | null, unknown>> = [
    ...ids.map((id) => cancel(stores, id)),
    ...groups.map((group) => Effect.as(settle(stores, group), null)),
    Effect.as(expire, null),
    Effect.as(goOn(stores), null)
  ]
  const shuffled = steps
    .map((step) => ({ step, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ step }) => step)
  const answers = yield* Effect.all(shuffled, { concurrency: 32 })
  // The remaining orders run until they are final.
  for (let left = true; left;) {
    yield* work.expire(100)
    const { orders } = yield* work.claim({ worker: "last", lease, max: 100 })
    yield* work.settle(orders.map((order) => ({ order, outcome: { event: "completed" } as const })))
    left = orders.length > 0
  }
  return answers.filter((answer) => answer !== null)
})

interface Ended {
  readonly id: string
  readonly status: string
  readonly discarded: boolean
  readonly letters: number
  readonly events: ReadonlyArray<string>
}

describe("1,000 cancels that race settles, claims and expirations on PostgreSQL", () => {
  it.live("each order has one outcome, and no answer was untrue", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer()
      const context = yield* Layer.build(storesOn(url, "public", 24))
      const stores = yield* allStores.pipe(Effect.provideContext(context))
      const answers = yield* race(stores)
      const rows = (yield* query(
        `SELECT o.id::text, o.status, o.discarded_at IS NOT NULL AS discarded,
           (SELECT count(*)::int FROM dead_letters d WHERE d.order_id = o.id) AS letters,
           (SELECT array_agg(e.event ORDER BY e.version) FROM order_events e WHERE e.order_id = o.id) AS events
         FROM orders o`
      )) as unknown as ReadonlyArray<Ended>
      const ended = new Map(rows.map((row) => [row.id, row]))
      const tally = new Map<string, number>()
      assert.strictEqual(answers.length, races)
      for (const { id, seen } of answers) {
        const order = ended.get(id)
        assert(order !== undefined)
        const about = `${id}: ${JSON.stringify({ seen, ...order })}`
        const last = order.events.at(-1) ?? ""
        const finals = order.events.filter((event) => /^(completed|failed|cancelled)$/.test(event))
        assert.include(["PROCESSED", "FAILED"], order.status, about)
        assert.isAtMost(finals.length, 1, about)
        assert.strictEqual(order.letters, order.status === "FAILED" && last !== "cancelled" ? 1 : 0, about)
        assert.strictEqual(order.discarded, last === "cancelled", about)
        if (seen === null) {
          assert.notInclude(order.events, "cancelled", about)
          tally.set(`409, ${last}`, (tally.get(`409, ${last}`) ?? 0) + 1)
          continue
        }
        // The events after the cancel, by version and not by time.
        const after = order.events.slice(seen.version)
        const expected = seen.status === "FAILED" ? [[]] : [["completed"], ["cancelled"]]
        assert.deepInclude(expected, after, about)
        if (seen.status === "FAILED") assert.strictEqual(last, "cancelled", about)
        const what = `202 while ${seen.status === "FAILED" ? "waiting" : "running"}, ${last}`
        tally.set(what, (tally.get(what) ?? 0) + 1)
      }
      console.log(
        [...tally]
          .map(([what, n]) => `${n} × ${what}`)
          .sort()
          .join("; ")
      )
      // Each kind of race took place.
      for (const what of [
        "202 while waiting, cancelled",
        "202 while running, cancelled",
        "202 while running, completed"
      ])
        assert.isAbove(tally.get(what) ?? 0, 0, what)
      assert.isTrue([...tally.keys()].some((what) => what.startsWith("409")))
    }).pipe(Effect.scoped)
  )
})

const cancels = 25

describe("a cancel of an order that runs in another process", () => {
  it.live(
    "ends the attempt within 2 s, in the median under 300 ms, also while the poll interval is an hour",
    () =>
      withOwnSchema(
        Effect.gen(function* () {
          const settings = {
            ORDER_QUEUE: "postgres",
            ORDER_WORKER_POLL_INTERVAL_MS: 3_600_000,
            ORDER_WORKER_PROCESSING_DELAY_MS: 600_000,
            ORDER_WORKER_ATTEMPT_TIMEOUT_MS: 900_000,
            ORDER_WORKER_FAILURE_PROBABILITY: 0
          }
          const [api] = yield* Effect.all(
            [start(settings, { arguments: ["api"] }), start(settings, { arguments: ["worker"] })],
            { concurrency: 2 }
          )
          const sql = yield* SqlClient.SqlClient
          const events = sql(`${yield* DatabaseSchema}.order_events`)
          const ids = yield* Effect.all(
            Array.from({ length: 2 * cancels }, () => submit(api)),
            { concurrency: 8 }
          )
          const timeOf = (id: string, event: string) =>
            eventually(
              `order ${id} has the event ${event}`,
              Effect.map(
                sql<{ readonly at: number }>`
                SELECT extract(epoch FROM at)::float8 * 1000 AS at FROM ${events} WHERE order_id = ${id} AND event = ${event}`,
                ([row]) => row?.at
              ),
              "10 seconds"
            )
          yield* Effect.forEach(ids, (id) => timeOf(id, "started"))
          const cancel = Effect.fnUntraced(function* (id: string) {
            const sent = Date.now()
            const { status } = yield* call(`${api.url}/orders/${id}/cancel`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: "{}"
            })
            assert.strictEqual(status, 202)
            return (yield* timeOf(id, "cancelled")) - sent
          })
          // One after the other, some time apart, then all at once.
          const alone = yield* Effect.forEach(ids.slice(0, cancels), (id) =>
            Effect.andThen(Effect.sleep(Math.random() * 300), cancel(id))
          )
          const together = yield* Effect.all(ids.slice(cancels).map(cancel), { concurrency: cancels })
          const figures = [alone, together].map(
            (all) => `median ${median(all).toFixed(0)} ms, longest ${Math.max(...all).toFixed(0)} ms`
          )
          console.log(`${cancels} cancels one by one: ${figures[0]}; ${cancels} at once: ${figures[1]}`)
          for (const all of [alone, together]) {
            assert.isBelow(Math.max(...all), 2000)
            assert.isBelow(median(all), 300)
          }
          const [row] = yield* sql<{ readonly n: number }>`
          SELECT count(*)::int AS n FROM ${sql(`${yield* DatabaseSchema}.orders`)} o
          WHERE o.status = 'FAILED' AND o.discarded_at IS NOT NULL AND o.retry_count = 0`
          assert.strictEqual(row?.n, 2 * cancels)
        })
      )
  )
})
