import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { makeSignal, type Signal } from "../../src/concurrency/Signal.ts"

const startWaiting = (signal: Signal) => Effect.forkChild(signal.await, { startImmediately: true })

const isKept = (signal: Signal) =>
  Effect.map(startWaiting(signal), (waiting) => waiting.pollUnsafe() !== undefined)

describe("a signal", () => {
  it.effect("wakes every fiber that waits", () =>
    Effect.gen(function* () {
      const signal = makeSignal()
      const waiting = [yield* startWaiting(signal), yield* startWaiting(signal)]
      signal.send()
      for (const fiber of waiting) yield* Fiber.join(fiber)
      assert.isFalse(yield* isKept(signal))
    })
  )

  it.effect("is kept for the next fiber if none waits, once, however often it was sent", () =>
    Effect.gen(function* () {
      const signal = makeSignal()
      signal.send()
      signal.send()
      yield* signal.await
      assert.isFalse(yield* isKept(signal))
    })
  )

  it.effect("that was kept can be forgotten", () =>
    Effect.gen(function* () {
      const signal = makeSignal()
      signal.send()
      signal.clear()
      assert.isFalse(yield* isKept(signal))
    })
  )

  it.effect("is not used up by a fiber that was interrupted before", () =>
    Effect.gen(function* () {
      const signal = makeSignal()
      const waiting = yield* Effect.forkChild(Effect.timeoutOption(signal.await, 0), {
        startImmediately: true
      })
      assert.isTrue(
        Option.isNone(yield* Fiber.join(waiting).pipe(Effect.catchCause(() => Effect.succeedNone)))
      )
      signal.send()
      yield* signal.await
    })
  )
})
