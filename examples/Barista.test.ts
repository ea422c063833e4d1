// A test of an app that embeds the platform: in memory, in virtual time, with a scripted processor.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { OrderPayload, OrderPlatform, RetryableFailure } from "order-platform"
import * as Testing from "order-platform/testing"

const coffee = OrderPayload.make(Schema.Struct({ drink: Schema.String }), { name: "coffee" })

describe("the bar", () => {
  it.effect("fails an order after three attempts, and processes it after a reprocess", () => {
    const noBeans = new RetryableFailure({ reason: "no beans" })
    const barista = Testing.scriptedProcessor(coffee, noBeans, noBeans, noBeans, "completes")

    return Effect.gen(function* () {
      const orders = yield* OrderPlatform.service(coffee)
      const id = yield* orders.submit({ payload: { drink: "espresso" } })

      const failed = yield* Testing.awaitStatus(coffee, id, "FAILED")
      assert.deepStrictEqual([failed.retryCount, failed.failureReason], [3, "no beans"])
      const { entries } = yield* orders.deadLetters({ limit: 10, after: null })
      assert.deepStrictEqual(
        entries.map(({ orderId, reasonCode }) => [orderId, reasonCode]),
        [[id, "PROCESSING_FAILED"]]
      )

      yield* orders.reprocess(id)
      yield* Testing.drain
      assert.strictEqual((yield* orders.find(id)).status, "PROCESSED")
      assert.deepStrictEqual(
        barista.attempts.map(({ attempt }) => attempt),
        [1, 2, 3, 1]
      )
    }).pipe(Effect.provide(Testing.layer(coffee, barista.layer)))
  })

  it.effect("runs three attempts with three seconds of delays in less than 100 ms of real time", () => {
    const barista = Testing.scriptedProcessor(coffee, new RetryableFailure({ reason: "no beans" }))

    return Effect.gen(function* () {
      const orders = yield* OrderPlatform.service(coffee)
      const took: Array<number> = []
      // The best of three, since a busy machine may delay one of them.
      for (let n = 1; n <= 3; n++) {
        const begun = performance.now()
        const id = yield* orders.submit({ payload: { drink: "espresso" } })
        yield* Testing.awaitStatus(coffee, id, "FAILED")
        took.push(performance.now() - begun)
        assert.strictEqual(barista.attempts.length, 3 * n)
      }
      assert.isBelow(Math.min(...took), 100)
    }).pipe(Effect.provide(Testing.layer(coffee, barista.layer)))
  })
})
