import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer, Logger, Option } from "effect"
import { storesOf } from "../../../../src/testing/AllStores.ts"
import { checkReady } from "../../../../src/infrastructure/http/routes/Readiness.ts"
import * as Postgres from "../../../../src/infrastructure/postgres/Postgres.ts"
import { postgresProxy } from "../../../PostgresProxy.ts"
import { newOrder } from "../../../TestOrders.ts"
import { ownSchema } from "../../../TestPostgres.ts"

/** Stores with one connection through a proxy, which was used once. */
const behindProxy = Effect.gen(function* () {
  const proxy = yield* postgresProxy
  const context = yield* Layer.build(
    Layer.fresh(Postgres.layerStores).pipe(Layer.provideMerge(ownSchema({ url: proxy.url })))
  )
  const stores = storesOf(context)
  yield* stores.reads.ping
  /** The connection falls silent for good; new ones work. */
  const fallSilent = Effect.sync(() => {
    proxy.discard()
    proxy.heal()
  })
  return { fallSilent, stores, silence: Effect.sync(proxy.discard) }
})

const timed = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const start = yield* Clock.currentTimeMillis
  const result = yield* effect
  return { result, millis: (yield* Clock.currentTimeMillis) - start }
})

describe("a silent connection", { concurrent: true, timeout: 25_000 }, () => {
  it.live("delays one read by two seconds, and no later one", () =>
    Effect.gen(function* () {
      const { fallSilent, stores } = yield* behindProxy
      const order = newOrder()
      yield* stores.intake.submit([order])
      yield* fallSilent
      const { millis, result } = yield* timed(stores.reads.find(order.id))
      assert.strictEqual(result.id, order.id)
      assert.isAtLeast(millis, 1900)
      assert.isAtMost(millis, 3500)
    }).pipe(Effect.scoped)
  )

  it.live("is logged by the time that readiness fails", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const { stores, silence } = yield* behindProxy
      yield* silence
      const notReady = yield* Effect.flip(checkReady(stores.reads.ping))
      assert.strictEqual(notReady._tag, "Unavailable")
      assert.strictEqual(
        lines.filter((line) => line.startsWith("The database does not answer: nothing came within")).length,
        1
      )
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
  })

  it.live("does not delay a caller that stops waiting", () =>
    Effect.gen(function* () {
      const { fallSilent, stores } = yield* behindProxy
      yield* fallSilent
      const claim = stores.work.claim({ worker: "w", max: 1, lease: Duration.seconds(30) })
      const { millis, result } = yield* timed(Effect.timeoutOption(claim, "500 millis"))
      assert.isTrue(Option.isNone(result))
      assert.isAtMost(millis, 1500)
    }).pipe(Effect.scoped)
  )
})
