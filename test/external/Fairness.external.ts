import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { attempts } from "../../chaos/Records.ts"
import { OrderProcessor } from "../../src/application/ports/OrderProcessor.ts"
import { OrderWorker } from "../../src/application/work/OrderWorker.ts"
import { WorkerSettings } from "../../src/application/work/WorkerSettings.ts"
import { anyJsonObject } from "../../src/domain/OrderPayload.ts"
import * as PostgresWakeUp from "../../src/infrastructure/postgres/wake-ups/PostgresWakeUp.ts"
import { allStores, type AllStores } from "../../src/testing/AllStores.ts"
import { newOrder } from "../TestOrders.ts"
import { quantile, submitMany } from "./ManyOrders.ts"
import { ownServer } from "./OwnServer.ts"
import { storesOn } from "./StoresOn.ts"

const slots = 20
const attemptMs = 50
const backlog = 100_000
const perSecond = 10
const seconds = 20

const worker = OrderWorker.layer(anyJsonObject).pipe(
  Layer.provide(OrderProcessor.layer(anyJsonObject, () => Effect.sleep(attemptMs))),
  Layer.provide(
    Layer.succeed(WorkerSettings, {
      ...WorkerSettings.defaultValue(),
      concurrency: slots,
      drainTimeout: Duration.seconds(1)
    })
  ),
  Layer.provide(PostgresWakeUp.layer)
)

/** Orders of 20 groups in turn, at a fixed rate. */
const others = ({ intake }: AllStores, keyed: boolean) =>
  Effect.gen(function* () {
    const began = Date.now()
    for (let n = 0; n < perSecond * seconds; n++) {
      yield* Effect.sleep(Math.max(0, began + (n * 1000) / perSecond - Date.now()))
      yield* intake.submit([newOrder({ group: `B${n % 20}`, orderingKey: keyed ? `b ${n}` : null })])
    }
  })

const measure = Effect.fnUntraced(function* (keyed: boolean) {
  const { query, url } = yield* ownServer()
  const context = yield* Layer.build(storesOn(url, "public", 10))
  const stores = yield* allStores.pipe(Effect.provideContext(context))
  yield* submitMany(stores, backlog, (n) => newOrder({ group: "A", orderingKey: keyed ? `a ${n}` : null }))
  yield* query("VACUUM ANALYZE")

  const times = yield* Effect.gen(function* () {
    yield* Layer.build(worker).pipe(Effect.provideContext(context))
    yield* Effect.sleep("2 seconds")
    const alone = Date.now()
    yield* Effect.sleep("5 seconds")
    const began = Date.now()
    yield* others(stores, keyed)
    const ended = Date.now()
    yield* Effect.sleep("2 seconds")
    return { alone, began, ended }
  }).pipe(Effect.scoped)

  const rows = yield* query(
    `SELECT extract(epoch FROM a.started_at - o.created_at)::float8 * 1000 AS waited
     FROM (${attempts()}) a JOIN orders o ON o.id = a.order_id WHERE a.group_name <> 'A'`
  )
  // The share of the slots' time in which an attempt ran, by the database's record.
  const held = Effect.fnUntraced(function* (from: number, to: number) {
    const [busy] = yield* query(
      `SELECT sum(extract(epoch FROM least(ended_at, upto) - greatest(started_at, since)))::float8 * 1000 AS ms
       FROM (${attempts()}) a, (SELECT to_timestamp(${from / 1000}) AS since, to_timestamp(${to / 1000}) AS upto) t
       WHERE started_at < upto AND ended_at > since`
    )
    return Number(busy?.["ms"]) / (slots * (to - from))
  })
  const [left] = yield* query(
    "SELECT count(*)::int AS n FROM orders WHERE group_name = 'A' AND status = 'PENDING'"
  )
  const waits = rows.map(({ waited }) => Number(waited))
  const alone = yield* held(times.alone, times.began)
  const share = yield* held(times.began, times.ended)
  console.log(
    `${waits.length} orders of others waited ${[0.5, 0.99, 1].map((part) => quantile(waits, part).toFixed(0)).join(" / ")} ms (p50 / p99 / longest); ` +
      `slots held ${(share * 100).toFixed(1)} % of the time, ${(alone * 100).toFixed(1)} % before with A alone; ${Number(left?.["n"])} of A are left`
  )
  assert.strictEqual(waits.length, perSecond * seconds)
  assert.isAbove(Number(left?.["n"]), 0, "A had orders due all the time")
  assert.isBelow(quantile(waits, 0.99), 2000)
  return share
})

describe("a group with 100,000 due orders", () => {
  it.live(
    "delays the orders of 20 other groups by less than 2 s (p99), and gets every slot that is free",
    () => Effect.scoped(measure(false))
  )

  // Each order of A must first become the head of its key, which slows the first claims down.
  it.live("delays others no more if each order has its own ordering key", () => Effect.scoped(measure(true)))
})
