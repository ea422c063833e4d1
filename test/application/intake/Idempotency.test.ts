import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer } from "effect"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { DefaultMaxRetries } from "../../../src/application/intake/Submission.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"

/** Two processes on one store, the second started with another `order.worker.maxRetries`. */
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

describe("a request is the same", () => {
  const absent = { payload: {} }
  const asked = (maxRetries: number) => ({ payload: {}, maxRetries })
  const idempotency = { key: "k" }

  // What was sent, what is sent again under another default, and whether it is the same request.
  const repeated = [
    ["said nothing, and says nothing", absent, absent, true],
    ["said the default of then, and says so again", asked(3), asked(3), true],
    ["said what is the default now, and says so again", asked(5), asked(5), true],
    ["said nothing, and says what the order got", absent, asked(3), true],
    ["said nothing, and says what it would get now", absent, asked(5), false],
    ["said the default of then, and says nothing", asked(3), absent, false],
    ["said what is the default now, and says nothing", asked(5), absent, true],
    ["said something, and says something else", asked(4), asked(3), false]
  ] as const

  for (const [what, first, second, isSame] of repeated) {
    it.effect(`whatever the default has become meanwhile, if it ${what}: ${isSame}`, () =>
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
