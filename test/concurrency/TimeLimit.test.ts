import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { makeTimeLimit } from "../../src/concurrency/TimeLimit.ts"

const limited = (log: Array<string>, name: string, millis: number) =>
  Effect.sleep(millis).pipe(
    Effect.as(`${name} in time`),
    Effect.onInterrupt(() => Effect.sync(() => log.push(`${name} interrupted`)))
  )

/** Runs an effect with a limit as the last step of a fiber, which keeps its result in a deferred. */
const begin = Effect.fnUntraced(function* (limitedEffect: Effect.Effect<string, string>) {
  const result = yield* Deferred.make<string, string>()
  const fiber = yield* Effect.forkChild(Effect.uninterruptible(Deferred.into(limitedEffect, result)), {
    startImmediately: true
  })
  return { fiber, result }
})

describe("TimeLimit", () => {
  it.effect("an effect that takes too long is interrupted at its own limit, and no other effect", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const limit = yield* makeTimeLimit(Duration.millis(100))
      const run = (name: string, millis: number) =>
        begin(limit(limited(log, name, millis), Effect.succeed(`${name} late`)))
      const short = yield* run("short", 20)
      const first = yield* run("first", 1000)
      yield* TestClock.adjust("60 millis")
      const second = yield* run("second", 1000)
      const third = yield* run("third", 90)
      assert.strictEqual(yield* Deferred.await(short.result), "short in time")
      yield* TestClock.adjust("39 millis")
      assert.isFalse(yield* Deferred.isDone(first.result))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Deferred.await(first.result), "first late")
      assert.deepStrictEqual(log, ["first interrupted"])
      yield* TestClock.adjust("59 millis")
      assert.isFalse(yield* Deferred.isDone(second.result))
      assert.strictEqual(yield* Deferred.await(third.result), "third in time")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Deferred.await(second.result), "second late")
      assert.deepStrictEqual(log, ["first interrupted", "second interrupted"])
    })
  )

  it.effect("an interruption, a failure and a synchronous success pass through", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const limit = yield* makeTimeLimit(Duration.millis(100))
      const late = Effect.succeed("late")
      const one = yield* begin(limit(limited(log, "one", 1000), late))
      yield* Fiber.interrupt(one.fiber)
      assert.deepStrictEqual(log, ["one interrupted"])
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(Deferred.await(one.result))))
      const failed = yield* begin(limit(Effect.fail("no"), late))
      assert.deepStrictEqual(yield* Effect.exit(Deferred.await(failed.result)), Exit.fail("no"))
      const atOnce = yield* begin(limit(Effect.succeed("at once"), late))
      assert.strictEqual(yield* Deferred.await(atOnce.result), "at once")
    })
  )

  it.effect("a limit still holds while the scope that made it closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const limit = yield* Scope.provide(makeTimeLimit(Duration.millis(100)), scope)
      const how = yield* Deferred.make<string, string>()
      // Added before the first deadline is set, like the drain of a worker.
      yield* Scope.addFinalizer(scope, Effect.ignore(Deferred.await(how)))
      yield* Effect.forkChild(
        Effect.uninterruptible(Deferred.into(limit(Effect.never, Effect.succeed("late")), how)),
        { startImmediately: true }
      )
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      const inTime = yield* Deferred.isDone(how)
      // Lets the scope close even if the limit did not hold.
      yield* Deferred.succeed(how, "too late")
      yield* Fiber.join(closing)
      assert.isTrue(inTime)
    })
  )
})
