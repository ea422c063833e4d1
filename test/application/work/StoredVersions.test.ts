import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, SchemaTransformation } from "effect"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { OrderWorker } from "../../../src/application/work/OrderWorker.ts"
import { OrderProcessor } from "../../../src/application/ports/OrderProcessor.ts"
import * as OrderPayload from "../../../src/domain/OrderPayload.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { pass } from "../../VirtualTime.ts"

// One app in three releases: each release is a payload, a platform and a worker on the same orders.

const Drink = Schema.Struct({ drink: Schema.String })
const Coffee = Schema.Struct({ drink: Schema.String, cups: Schema.Int })
type Coffee = typeof Coffee.Type

const first = OrderPayload.make(Drink)
const forgetful = OrderPayload.make(Coffee, { version: 2 })
const mended = OrderPayload.make(Coffee, {
  version: 2,
  previous: {
    1: Drink.pipe(
      Schema.decodeTo(
        Schema.toType(Coffee),
        SchemaTransformation.transform({
          decode: ({ drink }) => ({ drink, cups: 1 }),
          encode: ({ drink }) => ({ drink })
        })
      )
    )
  }
})

const release = <P>(payload: OrderPayload.OrderPayload<P>, seen: Array<P>) =>
  OrderWorker.layer(payload).pipe(
    Layer.provide(
      OrderProcessor.layer(payload, (attempt) => Effect.sync(() => void seen.push(attempt.payload)))
    )
  )

const submitted = Effect.gen(function* () {
  const platform = yield* OrderPlatform.service(first)
  return yield* platform.submit({ payload: { drink: "latte" } })
}).pipe(Effect.provide(OrderPlatform.layer(first)))

describe("Orders stored by an older version of the app", () => {
  it.effect("run with their payload in the current type", () =>
    Effect.gen(function* () {
      const seen: Array<Coffee> = []
      const id = yield* submitted
      yield* Effect.gen(function* () {
        yield* pass("1 second")
        const platform = yield* OrderPlatform.service(mended)
        assert.strictEqual((yield* platform.find(id)).status, "PROCESSED")
      }).pipe(Effect.provide(Layer.merge(release(mended, seen), OrderPlatform.layer(mended))))
      assert.deepStrictEqual(seen, [{ drink: "latte", cups: 1 }])
    }).pipe(Effect.provide(Memory.layer))
  )

  it.effect(
    "end in the DLQ as UNDECODABLE without running, and run when they are reprocessed after a fix",
    () =>
      Effect.gen(function* () {
        const seen: Array<Coffee> = []
        const id = yield* submitted
        yield* Effect.gen(function* () {
          yield* pass("1 second")
          const platform = yield* OrderPlatform.service(forgetful)
          const { reason, reasonCode, retryCount } = yield* platform.deadLetter(id)
          assert.deepStrictEqual([reasonCode, retryCount], ["UNDECODABLE", 1])
          assert.strictEqual(reason, "The payload was stored as version 1; this app reads 2.")
        }).pipe(Effect.provide(Layer.merge(release(forgetful, seen), OrderPlatform.layer(forgetful))))
        assert.deepStrictEqual(seen, [])

        yield* Effect.gen(function* () {
          const platform = yield* OrderPlatform.service(mended)
          yield* platform.reprocess(id)
          yield* pass("1 second")
          assert.strictEqual((yield* platform.find(id)).status, "PROCESSED")
        }).pipe(Effect.provide(Layer.merge(release(mended, seen), OrderPlatform.layer(mended))))
        assert.deepStrictEqual(seen, [{ drink: "latte", cups: 1 }])
      }).pipe(Effect.provide(Memory.layer))
  )
})
