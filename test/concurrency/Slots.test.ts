import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { makeSlots } from "../../src/concurrency/Slots.ts"

describe("Slots", () => {
  it.effect("take returns all free slots up to the maximum, and waits while none is free", () =>
    Effect.gen(function* () {
      const slots = makeSlots(5)
      assert.strictEqual(yield* slots.take(3), 3)
      assert.strictEqual(yield* slots.take(3), 2)
      const taking = yield* Effect.forkChild(slots.take(3), { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(taking.pollUnsafe())
      slots.release(1)
      assert.strictEqual(yield* Fiber.join(taking), 1)
    })
  )

  it.effect("allFree waits for the release of the last slot", () =>
    Effect.gen(function* () {
      const slots = makeSlots(2)
      yield* slots.allFree
      yield* slots.take(2)
      const waiting = yield* Effect.forkChild(slots.allFree, { startImmediately: true })
      slots.release(1)
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      slots.release(1)
      yield* Fiber.join(waiting)
    })
  )
})
