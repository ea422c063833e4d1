import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { MaxPayloadBytes } from "../../src/application/intake/Submission.ts"
import { OrderPlatform } from "../../src/application/OrderPlatform.ts"
import { OrderReads } from "../../src/application/ports/OrderReads.ts"
import { OrdersUnavailable } from "../../src/domain/OrderErrors.ts"
import { anyJsonObject } from "../../src/domain/OrderPayload.ts"
import type { Stats } from "../../src/domain/OrderQueries.ts"
import * as Memory from "../../src/infrastructure/memory/Memory.ts"

const platformOn = <E, R>(stores: Layer.Layer<Layer.Success<typeof Memory.layer>, E, R>) =>
  Effect.map(
    Layer.build(Layer.fresh(OrderPlatform.layer(anyJsonObject)).pipe(Layer.provide(stores))),
    Context.get(OrderPlatform.service(anyJsonObject))
  )

/** The `stats` call of a platform whose store answers with `stats`. */
const statsFrom = Effect.fnUntraced(function* (read: Effect.Effect<Stats, OrdersUnavailable>) {
  const memory = yield* Layer.build(Memory.layer)
  const reads = OrderReads.of({ ...Context.get(memory, OrderReads), stats: read })
  const { stats } = yield* platformOn(Layer.succeedContext(Context.add(memory, OrderReads, reads)))
  return stats
})

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

describe("Stats", () => {
  it.effect("are read at most once a second, however many callers ask", () =>
    Effect.gen(function* () {
      let reads = 0
      const stats = yield* statsFrom(Effect.sync(() => figures(++reads)))
      assert.strictEqual(reads, 0)
      const ask = Effect.all(
        Array.from({ length: 500 }, () => stats),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(new Set((yield* ask).map(({ byStatus }) => byStatus.PENDING)), new Set([1]))
      yield* TestClock.adjust("999 millis")
      yield* ask
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* stats).byStatus.PENDING, 2)
    })
  )

  it.effect(
    "a read that takes longer than a second is shared, and continues when its first caller is interrupted",
    () =>
      Effect.gen(function* () {
        let reads = 0
        const gate = yield* Deferred.make<void>()
        const stats = yield* statsFrom(
          Effect.andThen(
            Effect.sync(() => void reads++),
            Effect.as(Deferred.await(gate), figures(7))
          )
        )
        const first = yield* Effect.forkChild(stats, { startImmediately: true })
        yield* TestClock.adjust("5 seconds")
        const second = yield* Effect.forkChild(stats, { startImmediately: true })
        yield* Fiber.interrupt(first)
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* Fiber.join(second)).byStatus.PENDING, 7)
        assert.strictEqual(reads, 1)
      })
  )

  it.effect("a failed read is repeated after a second, not before", () =>
    Effect.gen(function* () {
      let reads = 0
      const stats = yield* statsFrom(
        Effect.suspend(() =>
          ++reads === 1 ? Effect.fail(new OrdersUnavailable()) : Effect.succeed(figures(reads))
        )
      )
      for (let n = 0; n < 3; n++) assert.isTrue(Exit.isFailure(yield* Effect.exit(stats)))
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* stats).byStatus.PENDING, 2)
    })
  )
})

describe("The size of a payload", () => {
  const limited = Effect.provideService(platformOn(Memory.layer), MaxPayloadBytes, 20)
  // As JSON this is {"t":"..."}: eight bytes besides the text.
  const textOf = (letter: string, count: number) => ({ payload: { t: letter.repeat(count) } })

  it.effect("is limited in bytes of JSON, for a single order and for each order of a bulk", () =>
    Effect.gen(function* () {
      const { submit, submitMany } = yield* limited
      yield* submit(textOf("x", 12))
      yield* submit(textOf("é", 6))
      for (const tooLarge of [textOf("x", 13), textOf("é", 7)]) {
        const error = yield* Effect.flip(submit(tooLarge))
        assert.strictEqual(error._tag, "SchemaError")
        assert.include(error.message, "Expected a payload of at most 20 bytes as JSON")
      }
      const { answer } = yield* submitMany([textOf("x", 1), textOf("x", 13)])
      const [first, second] = answer
      assert(first?._tag === "Success" && second?._tag === "Failure")
      assert(second.failure._tag === "SubmissionRefused")
      assert.deepStrictEqual(second.failure.issues, [
        { path: ["payload"], message: "Expected a payload of at most 20 bytes as JSON" }
      ])
    })
  )

  it.effect("is not checked when the limit is infinite", () =>
    Effect.gen(function* () {
      const { submit } = yield* Effect.provideService(platformOn(Memory.layer), MaxPayloadBytes, Infinity)
      yield* submit(textOf("x", 2_000_000))
      const { submit: submitByDefault } = yield* platformOn(Memory.layer)
      assert.strictEqual((yield* Effect.flip(submitByDefault(textOf("x", 2_000_000))))._tag, "SchemaError")
    })
  )
})
