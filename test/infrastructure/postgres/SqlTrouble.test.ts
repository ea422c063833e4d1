import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { fullBatch, repeatIdempotent } from "../../../src/infrastructure/postgres/SqlTrouble.ts"
import { pass } from "../../VirtualTime.ts"

/** A statement about so many orders that is answered after so long; how often it was sent, and when the answer came. */
const sent = Effect.fnUntraced(function* (orders: number, answeredAfter: `${number} seconds` | null) {
  let times = 0
  const statement = Effect.suspend(() => {
    times++
    return answeredAfter === null ? Effect.never : Effect.sleep(answeredAfter)
  })
  const fiber = yield* Effect.forkChild(repeatIdempotent(statement, orders))
  yield* pass("13 seconds")
  const answered = fiber.pollUnsafe() !== undefined
  yield* Fiber.interrupt(fiber)
  return { times, answered }
})

describe("A statement that may be repeated", () => {
  it.effect("is sent again after two seconds without an answer", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sent(1, "1 seconds"), { times: 1, answered: true })
      assert.deepStrictEqual(yield* sent(1, "3 seconds"), { times: 2, answered: true })
    })
  )

  it.effect("is given more time the more orders it writes, and not sent twice because it is large", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sent(fullBatch, "3 seconds"), { times: 1, answered: true })
      assert.deepStrictEqual(yield* sent(1000, "3 seconds"), { times: 1, answered: true })
    })
  )

  it.effect("has a third connection within the time of a request, however many orders it writes", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sent(1, null), { times: 3, answered: false })
      assert.deepStrictEqual(yield* sent(100_000, null), { times: 3, answered: false })
    })
  )
})
