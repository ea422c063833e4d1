import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer } from "effect"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { DefaultMaxRetries } from "../../../src/application/intake/Submission.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"

/** Two processes on one store; the second was started with a different `order.worker.maxRetries`. */
const processes = Effect.gen(function* () {
  const store = yield* Layer.build(Memory.layer)
  const start = (maxRetries: number) =>
    Effect.map(
      Layer.build(
        Layer.fresh(OrderPlatform.layer(anyJsonObject)).pipe(
          Layer.provide([Layer.succeedContext(store), Layer.succeed(DefaultMaxRetries, maxRetries)])
        )
      ),
      Context.get(OrderPlatform.service(anyJsonObject))
    )
  return { before: yield* start(3), after: yield* start(5) }
})

describe("a request repeated after the default of maxRetries changed", () => {
  const absent = { payload: {} }
  const asked = (maxRetries: number) => ({ payload: {}, maxRetries })
  const idempotency = { key: "k" }

  // The first request, the repeated one after the default changed from 3 to 5, and whether they count as the same.
  const repeated = [
    ["none, then none", absent, absent, true],
    ["the old default, then the same", asked(3), asked(3), true],
    ["the new default, then the same", asked(5), asked(5), true],
    ["none, then the old default", absent, asked(3), true],
    ["none, then the new default", absent, asked(5), false],
    ["the old default, then none", asked(3), absent, false],
    ["the new default, then none", asked(5), absent, true],
    ["one value, then another", asked(4), asked(3), false]
  ] as const

  for (const [what, first, second, isSame] of repeated) {
    it.effect(`maxRetries ${what}: ${isSame ? "the same request" : "another request"}`, () =>
      Effect.gen(function* () {
        const { after, before } = yield* processes
        const one = yield* before.submit(first, { idempotency })
        const oneAgain = yield* Effect.exit(after.submit(second, { idempotency }))
        assert.strictEqual(Exit.isSuccess(oneAgain), isSame)
        if (Exit.isSuccess(oneAgain)) {
          assert.deepStrictEqual(oneAgain.value, { answer: one.answer, replayed: true })
        }
        const many = yield* before.submitMany([first, first], { idempotency })
        const manyAgain = yield* Effect.exit(after.submitMany([second, second], { idempotency }))
        assert.strictEqual(Exit.isSuccess(manyAgain), isSame)
        if (Exit.isSuccess(manyAgain)) assert.deepStrictEqual(manyAgain.value.answer, many.answer)
      })
    )
  }
})
