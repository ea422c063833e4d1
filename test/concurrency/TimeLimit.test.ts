import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { makeTimeLimit } from "../../src/concurrency/TimeLimit.ts"

const limited = (log: Array<string>, name: string, millis: number) =>
  Effect.sleep(millis).pipe(
    Effect.as(`${name} in time`),
    Effect.onInterrupt(() => Effect.sync(() => log.push(`${name} interrupted`)))
  )

describe("TimeLimit", () => {
  it.effect("an effect that takes too long is interrupted at its own limit, and no other effect", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { within } = yield* makeTimeLimit(Duration.millis(100))
      const begin = (name: string, millis: number) =>
        Effect.forkChild(within(limited(log, name, millis), Effect.succeed(`${name} late`)))
      const short = yield* begin("short", 20)
      const first = yield* begin("first", 1000)
      yield* TestClock.adjust("60 millis")
      const second = yield* begin("second", 1000)
      const third = yield* begin("third", 90)
      assert.strictEqual(yield* Fiber.join(short), "short in time")
      yield* TestClock.adjust("39 millis")
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(first), "first late")
      assert.deepStrictEqual(log, ["first interrupted"])
      yield* TestClock.adjust("59 millis")
      assert.isUndefined(second.pollUnsafe())
      assert.strictEqual(yield* Fiber.join(third), "third in time")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(second), "second late")
      assert.deepStrictEqual(log, ["first interrupted", "second interrupted"])
    })
  )

  it.effect("an interruption, a failure and a synchronous success pass through", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { within } = yield* makeTimeLimit(Duration.millis(100))
      const fiber = yield* Effect.forkChild(within(limited(log, "one", 1000), Effect.succeed("late")), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(log, ["one interrupted"])
      assert.deepStrictEqual(
        yield* Effect.exit(within(Effect.fail("no"), Effect.succeed("late"))),
        Exit.fail("no")
      )
      assert.strictEqual(yield* within(Effect.succeed("at once"), Effect.succeed("late")), "at once")
    })
  )

  it.effect(
    "lastWithin passes success and failure through, and continues with the fallback on a timeout",
    () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const { lastWithin } = yield* makeTimeLimit(Duration.millis(100))
        // The result is used in the same uninterruptible region: the fiber is interrupted afterwards.
        const begin = (name: string, effect: Effect.Effect<string, string>) =>
          lastWithin(effect, Effect.succeed(`${name} late`)).pipe(
            Effect.catch((error) => Effect.succeed(`${name} ${error}`)),
            Effect.tap((answer) => Effect.sync(() => log.push(answer))),
            Effect.uninterruptible,
            Effect.forkChild({ startImmediately: true })
          )
        const slow = yield* begin("slow", limited(log, "slow", 1000))
        yield* begin("fast", limited(log, "fast", 20))
        yield* begin("wrong", Effect.fail("failed"))
        yield* TestClock.adjust("100 millis")
        yield* Fiber.await(slow)
        assert.deepStrictEqual(log, ["wrong failed", "fast in time", "slow interrupted", "slow late"])
      })
  )

  it.effect("a limit still holds while the scope that made it closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { within } = yield* Scope.provide(makeTimeLimit(Duration.millis(100)), scope)
      const how = yield* Deferred.make<string>()
      // Added before the first deadline is set, like the drain of a worker.
      yield* Scope.addFinalizer(scope, Effect.asVoid(Deferred.await(how)))
      yield* Effect.forkChild(
        Effect.flatMap(within(Effect.never, Effect.succeed("late")), (end) => Deferred.succeed(how, end)),
        { startImmediately: true }
      )
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      const ended = how.pipe(Deferred.isDone)
      const inTime = yield* ended
      // Lets the scope close even if the limit did not hold.
      yield* Deferred.succeed(how, "too late")
      yield* Fiber.join(closing)
      assert.isTrue(inTime)
    })
  )
})
