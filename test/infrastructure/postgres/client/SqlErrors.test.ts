import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Logger } from "effect"
import { makeCatchSqlErrors } from "../../../../src/infrastructure/postgres/client/CatchSqlErrors.ts"
import {
  fullBatch,
  repeatIdempotent
} from "../../../../src/infrastructure/postgres/client/RepeatStatements.ts"
import { pass } from "../../../VirtualTime.ts"

/**
 * Runs a statement for this many orders that is answered after this time; returns how often it was sent and whether it
 * was answered.
 */
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

describe("a statement that may be repeated", () => {
  it.effect("is sent again after two seconds without an answer", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sent(1, "1 seconds"), { times: 1, answered: true })
      assert.deepStrictEqual(yield* sent(1, "3 seconds"), { times: 2, answered: true })
    })
  )

  it.effect("has a time limit that grows with its orders, so that a large one is not sent twice", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sent(fullBatch, "3 seconds"), { times: 1, answered: true })
      assert.deepStrictEqual(yield* sent(1000, "3 seconds"), { times: 1, answered: true })
    })
  )

  it.effect(
    "is sent on a third connection within the time limit of a request, however many orders it writes",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* sent(1, null), { times: 3, answered: false })
        assert.deepStrictEqual(yield* sent(100_000, null), { times: 3, answered: false })
      })
  )
})

describe("a silent database", () => {
  it.effect("is not logged as unavailable if it answers other statements meanwhile", () => {
    const logged: Array<unknown> = []
    return Effect.gen(function* () {
      const guarded = (yield* makeCatchSqlErrors(Effect.void)).catchSqlErrors(Duration.seconds(2))
      const waiting = yield* Effect.forkChild(Effect.flip(guarded(Effect.never)))
      yield* pass("1 second")
      yield* guarded(Effect.void)
      yield* pass("2 seconds")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "OrdersUnavailable")
      assert.deepStrictEqual(logged, [])
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(message))])))
  })

  it.effect("is logged once as unavailable, and once when it answers again", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void logged.push(`${logLevel}: ${String(message)}`))
    return Effect.gen(function* () {
      const guarded = (yield* makeCatchSqlErrors(Effect.void)).catchSqlErrors(Duration.seconds(2))
      const silent = Effect.flip(guarded(Effect.never))
      const calls = yield* Effect.forkChild(Effect.all([silent, silent]))
      yield* pass("1 second")
      assert.deepStrictEqual(logged, [])
      yield* pass("4 seconds")
      for (const error of yield* Fiber.join(calls)) assert.strictEqual(error._tag, "OrdersUnavailable")
      yield* guarded(Effect.void)
      yield* guarded(Effect.void)
      assert.deepStrictEqual(logged, [
        "Warn: The database does not answer: nothing came within 2s. Calls fail until it does; no accepted order is lost.",
        "Info: The database answers again."
      ])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })
})
