import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { makeHands } from "../../src/concurrency/Slots.ts"

describe("Hands", () => {
  it.effect("gives what is free, at most so many, and waits while nothing is", () =>
    Effect.gen(function* () {
      const hands = makeHands(5)
      assert.strictEqual(yield* hands.take(3), 3)
      assert.strictEqual(yield* hands.take(3), 2)
      const waiting = yield* Effect.forkChild(hands.take(3), { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      hands.giveBack(1)
      assert.strictEqual(yield* Fiber.join(waiting), 1)
    })
  )

  it.effect("all are free once the last one is given back", () =>
    Effect.gen(function* () {
      const hands = makeHands(2)
      yield* hands.allFree
      yield* hands.take(2)
      const waiting = yield* Effect.forkChild(hands.allFree, { startImmediately: true })
      hands.giveBack(1)
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      hands.giveBack(1)
      yield* Fiber.join(waiting)
    })
  )
})
