import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"

const made = Effect.map(
  Layer.build(Layer.fresh(OrderPlatform.layer(anyJsonObject)).pipe(Layer.provide(Layer.fresh(Memory.layer)))),
  Context.get(OrderPlatform.service(anyJsonObject))
)

describe("The type, ordering key and group of a submission", () => {
  it.effect("are stored with the order, and have defaults", () =>
    Effect.gen(function* () {
      const { find, submit } = yield* made
      const lane = { type: "invoice", orderingKey: "customer 7", group: "acme" }
      assert.include(yield* find(yield* submit({ payload: {}, ...lane })), lane)
      const order = yield* find(yield* submit({ payload: {} }))
      assert.include(order, { type: "default", orderingKey: null, group: null })
    })
  )

  it.effect("are refused with their path when no order can have them", () =>
    Effect.gen(function* () {
      const { submit, submitMany } = yield* made
      const wrong = {
        type: [{ type: "Invoice" }, "Expected 1 to 64 of the characters a-z 0-9 . _ -"],
        orderingKey: [{ orderingKey: "x".repeat(201) }, "Expected 1 to 200 characters"],
        group: [{ group: "a\u0007" }, "Expected no control characters"]
      } as const
      for (const [name, [parts, message]] of Object.entries(wrong)) {
        const error = yield* Effect.flip(submit({ payload: {}, ...parts }))
        assert.strictEqual(error._tag, "SchemaError")
        assert.include(error.message, name)
        const { answer } = yield* submitMany([{ payload: {} }, { payload: {}, ...parts }])
        const [first, second] = answer
        assert(first?._tag === "Success" && second?._tag === "Failure")
        assert(second.failure._tag === "SubmissionRefused")
        assert.deepStrictEqual(second.failure.issues, [{ path: [name], message }])
      }
    })
  )

  it.effect("are part of the request that an idempotency key stands for", () =>
    Effect.gen(function* () {
      const { submit } = yield* made
      const once = (parts: object) => submit({ payload: {}, ...parts }, { idempotency: { key: "k" } })
      const { answer } = yield* once({})
      assert.deepStrictEqual(yield* once({ type: "default" }), { answer, replayed: true })
      for (const parts of [{ type: "other" }, { orderingKey: "default" }, { group: "default" }])
        assert.strictEqual((yield* Effect.flip(once(parts)))._tag, "IdempotencyMismatch")
    })
  )
})
