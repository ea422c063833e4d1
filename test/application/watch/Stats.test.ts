import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Stats } from "../../../src/domain/OrderQueries.ts"
import { refreshStats } from "../../../src/application/watch/Stats.ts"
import { OrdersUnavailable } from "../../../src/domain/OrderErrors.ts"

const figures = (pending: number): Stats => ({
  byStatus: { PENDING: pending, PROCESSING: 0, PROCESSED: 0, FAILED: 0 },
  estimated: [],
  retrying: 0,
  deadLetters: 0,
  oldestDueAge: null,
  createdPerSecond: 0,
  completedPerSecond: 0,
  asOf: DateTime.makeUnsafe(0),
  truncated: false
})

describe("stats", () => {
  it.effect("are looked up at most once a second, however many ask", () =>
    Effect.gen(function* () {
      let looks = 0
      const stats = yield* refreshStats(Effect.sync(() => figures(++looks)))
      assert.strictEqual(looks, 0)
      const ask = Effect.all(
        Array.from({ length: 500 }, () => stats),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(new Set((yield* ask).map(({ byStatus }) => byStatus.PENDING)), new Set([1]))
      yield* TestClock.adjust("999 millis")
      yield* ask
      assert.strictEqual(looks, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* stats).byStatus.PENDING, 2)
    })
  )

  it.effect(
    "a look that takes longer than a second is not joined by another, and outlives whoever asked first",
    () =>
      Effect.gen(function* () {
        let looks = 0
        const gate = yield* Deferred.make<void>()
        const stats = yield* refreshStats(
          Effect.andThen(
            Effect.sync(() => void looks++),
            Effect.as(Deferred.await(gate), figures(7))
          )
        )
        const first = yield* Effect.forkChild(stats, { startImmediately: true })
        yield* TestClock.adjust("5 seconds")
        const second = yield* Effect.forkChild(stats, { startImmediately: true })
        yield* Fiber.interrupt(first)
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* Fiber.join(second)).byStatus.PENDING, 7)
        assert.strictEqual(looks, 1)
      })
  )

  it.effect("a look that failed is not repeated within the second, and then again", () =>
    Effect.gen(function* () {
      let looks = 0
      const stats = yield* refreshStats(
        Effect.suspend(() =>
          ++looks === 1 ? Effect.fail(new OrdersUnavailable()) : Effect.succeed(figures(looks))
        )
      )
      for (let n = 0; n < 3; n++) assert.isTrue(Exit.isFailure(yield* Effect.exit(stats)))
      assert.strictEqual(looks, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* stats).byStatus.PENDING, 2)
    })
  )
})
