import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Layer } from "effect"
import { MaxPending, MaxScheduled } from "../../../src/application/intake/Backpressure.ts"
import type { SubmissionOptions } from "../../../src/application/intake/Submission.ts"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { OrdersUnavailable } from "../../../src/domain/OrderErrors.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { IntakeStore } from "../../../src/application/ports/IntakeStore.ts"
import { storesOf } from "../../../src/testing/AllStores.ts"
import { pass } from "../../VirtualTime.ts"

/** A platform in memory without a worker, with these limits; `counts` counts the samples of each limit. */
const platformWith = Effect.fnUntraced(function* (limits: {
  readonly maxPending?: number
  readonly maxScheduled?: number
}) {
  const counts = { due: 0, scheduled: 0 }
  const memory = yield* Layer.build(Memory.layer)
  const intake = Context.get(memory, IntakeStore)
  const counting = IntakeStore.of({
    ...intake,
    countDue: (max) => Effect.suspend(() => (counts.due++, intake.countDue(max))),
    countScheduled: (max, room) =>
      Effect.suspend(() => (counts.scheduled++, intake.countScheduled(max, room)))
  })
  const built = yield* Layer.build(
    Layer.fresh(OrderPlatform.layer(anyJsonObject)).pipe(
      Layer.provide([
        Layer.succeedContext(Context.add(memory, IntakeStore, counting)),
        Layer.succeed(MaxPending, limits.maxPending ?? 1000),
        Layer.succeed(MaxScheduled, limits.maxScheduled ?? 1000)
      ])
    )
  )
  const { submit, submitMany } = Context.get(built, OrderPlatform.service(anyJsonObject))
  const { work } = storesOf(memory)
  return {
    counts,
    submit: (parts: Partial<SubmissionOptions> = {}) => submit({ payload: {}, ...parts }),
    submitOnce: (key: string, priority: number) =>
      submit({ payload: {}, priority }, { idempotency: { key } }),
    submitMany,
    complete: Effect.fnUntraced(function* (max: number) {
      const { orders } = yield* work.claim({ worker: "w", lease: Duration.hours(1), max })
      yield* work.settle(orders.map((order) => ({ order, outcome: { event: "completed" } })))
    })
  }
})

const refused = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert(error._tag === "Overloaded", error._tag)
    return error as Extract<E, { readonly _tag: "Overloaded" }>
  })

const inSeconds = (seconds: number) => ({ notBefore: DateTime.makeUnsafe(seconds * 1000) })

describe("Backpressure", () => {
  it.effect("with more due orders than the limit no order is accepted until some are final", () =>
    Effect.gen(function* () {
      const { complete, submit } = yield* platformWith({ maxPending: 3 })
      for (let n = 0; n < 5; n++) yield* submit()
      // The first sample counted one order; the next is a second later, although no more orders arrive.
      yield* pass("1 second")
      assert.strictEqual((yield* refused(submit())).retryAfterSeconds, 60, "no order became final lately")
      assert.strictEqual((yield* refused(submit(inSeconds(300)))).retryAfterSeconds, 60)
      yield* complete(1)
      yield* pass("1 second")
      // Two orders above the limit, at one final order every ten seconds.
      assert.strictEqual((yield* refused(submit())).retryAfterSeconds, 20)
      yield* complete(3)
      yield* pass("1 second")
      yield* submit()
    })
  )

  it.effect("scheduled orders do not count as due, however many there are", () =>
    Effect.gen(function* () {
      const { submit } = yield* platformWith({ maxPending: 3 })
      for (let n = 0; n < 10; n++) yield* submit(inSeconds(300))
      yield* pass("3 seconds")
      yield* submit()
      yield* submit(inSeconds(300))
    })
  )

  it.effect("with more scheduled orders than the limit only orders with a later notBefore are refused", () =>
    Effect.gen(function* () {
      const { submit, submitMany } = yield* platformWith({ maxScheduled: 3 })
      for (let n = 4; n <= 8; n++) yield* submit(inSeconds(n))
      yield* pass("1 second")
      const first = yield* refused(submit(inSeconds(300)))
      // One order can be accepted when the first is due.
      assert.strictEqual(first.retryAfterSeconds, 3)
      assert.include(first.message, "waiting for their notBefore")
      yield* refused(submitMany([{ payload: {} }, { payload: {}, ...inSeconds(300) }]))
      yield* submit()
      yield* submit({ notBefore: DateTime.makeUnsafe(0) })
      yield* submitMany([{ payload: {} }, { payload: {} }])
      // Two are due, so three are left.
      yield* pass("5 seconds")
      yield* submit(inSeconds(300))
    })
  )

  it.effect("while orders are refused, a repeated request with its key gets the first answer", () =>
    Effect.gen(function* () {
      const { submit, submitOnce } = yield* platformWith({ maxPending: 1 })
      const first = yield* submitOnce("k", 1)
      yield* submit()
      yield* pass("1 second")
      yield* refused(submit())
      assert.deepStrictEqual(yield* submitOnce("k", 1), { ...first, replayed: true })
      assert.strictEqual((yield* Effect.flip(submitOnce("k", 2)))._tag, "IdempotencyMismatch")
      yield* refused(submitOnce("new", 1))
      assert.strictEqual((yield* refused(submitOnce("new", 1)))._tag, "Overloaded", "the key was not taken")
    })
  )

  it.effect(
    "each limit is sampled while orders of its kind arrive, once more after the last one, and not again",
    () =>
      Effect.gen(function* () {
        const { counts, submit } = yield* platformWith({})
        yield* pass("5 seconds")
        assert.deepStrictEqual(counts, { due: 0, scheduled: 0 })
        for (let n = 0; n < 30; n++) {
          yield* submit()
          yield* pass("100 millis")
        }
        yield* pass("5 seconds")
        assert.strictEqual(counts.scheduled, 0)
        assert.isAtLeast(counts.due, 3)
        assert.isAtMost(counts.due, 5)
        const { due } = counts
        yield* submit(inSeconds(3600))
        yield* pass("5 seconds")
        assert.deepStrictEqual(counts, { due, scheduled: 1 })
      })
  )

  it.effect("a failed sample changes nothing and is repeated with the next order", () =>
    Effect.gen(function* () {
      const memory = yield* Layer.build(Memory.layer)
      const intake = Context.get(memory, IntakeStore)
      let isAway = true
      const built = yield* Layer.build(
        Layer.fresh(OrderPlatform.layer(anyJsonObject)).pipe(
          Layer.provide([
            Layer.succeedContext(
              Context.add(memory, IntakeStore, {
                ...intake,
                countDue: (max) =>
                  Effect.suspend(() => (isAway ? Effect.fail(new OrdersUnavailable()) : intake.countDue(max)))
              })
            ),
            Layer.succeed(MaxPending, 1)
          ])
        )
      )
      const { submit } = Context.get(built, OrderPlatform.service(anyJsonObject))
      for (let n = 0; n < 3; n++) {
        yield* submit({ payload: {} })
        yield* pass("1 second")
      }
      isAway = false
      yield* submit({ payload: {} })
      yield* pass("1 second")
      yield* refused(submit({ payload: {} }))
    })
  )
})
