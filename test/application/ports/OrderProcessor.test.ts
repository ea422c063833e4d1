import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { type Attempt, OrderProcessor } from "../../../src/application/ports/OrderProcessor.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import { newOrder } from "../../TestOrders.ts"

const Till = Context.Service<string>("test/Till")
const Shift = Context.Reference<string>("test/Shift", { defaultValue: () => "none" })

const attempt: Attempt<typeof anyJsonObject.schema.Type> = {
  orderId: newOrder().id,
  effectKey: "key",
  type: "default",
  orderingKey: null,
  group: null,
  payload: {},
  attempt: 1,
  maxRetries: 3,
  metadata: {},
  correlationId: "c"
}

describe("OrderProcessor", () => {
  it.effect("each attempt has the services of its layer and the context it runs in", () => {
    const seen: Array<[string, string]> = []
    const process = () =>
      Effect.gen(function* () {
        seen.push([yield* Till, yield* Shift])
      })
    return Effect.gen(function* () {
      const processor = yield* OrderProcessor.service(anyJsonObject)
      const run = (shift: string) => Effect.provideService(processor.process(attempt), Shift, shift)
      yield* run("early")
      yield* run("late")
      yield* processor.process(attempt)
      yield* run("early")
      assert.deepStrictEqual(seen, [
        ["left", "early"],
        ["left", "late"],
        ["left", "none"],
        ["left", "early"]
      ])
    }).pipe(
      Effect.provide(
        OrderProcessor.layer(anyJsonObject, process).pipe(Layer.provide(Layer.succeed(Till, "left")))
      )
    )
  })
})
