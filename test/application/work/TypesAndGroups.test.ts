import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { RetryableFailure } from "../../../src/application/ports/OrderProcessor.ts"
import { noLimits } from "../../../src/domain/Groups.ts"
import { SettingsOfTypes } from "../../../src/domain/TypeSettings.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { pass } from "../../VirtualTime.ts"
import { events, startWorker, store, storesWith, timeline } from "./Workers.ts"

describe("the types of a worker", () => {
  it.effect("a worker takes only the types that it is set to", () =>
    Effect.gen(function* () {
      const [email, invoice] = yield* store({ type: "email" }, { type: "invoice" })
      yield* startWorker(() => Effect.void, { types: ["invoice", "sms"] })
      yield* pass("1 second")
      assert.deepStrictEqual(yield* events(email), ["created"])
      assert.deepStrictEqual(yield* events(invoice), ["created", "started", "completed"])
      const [worker] = yield* (yield* allStores).control.workers
      assert.deepStrictEqual(worker?.types, ["invoice", "sms"])
    }).pipe(Effect.provide(Memory.layer))
  )

  it.effect(
    "no more attempts of a type run at once than its concurrency, each free slot is used at once, and nothing polls meanwhile",
    () => {
      let running = 0
      let most = 0
      let claims = 0
      const counted = storesWith((work) => ({ claim: (request) => (claims++, work.claim(request)) }))
      const process = ({ type }: { readonly type: string }) =>
        type === "fast"
          ? Effect.void
          : Effect.sync(() => void (most = Math.max(most, ++running))).pipe(
              Effect.andThen(Effect.sleep("10 seconds")),
              Effect.ensuring(Effect.sync(() => void running--))
            )
      return Effect.gen(function* () {
        const slow = yield* store(...Array.from({ length: 5 }, () => ({ type: "slow" })))
        const fast = yield* store(...Array.from({ length: 20 }, () => ({ type: "fast" })))
        yield* startWorker(process, { concurrency: 4 })
        yield* pass("1 second")
        for (const id of fast) assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
        const before = claims
        yield* pass("8 seconds")
        assert.strictEqual(claims, before)
        yield* pass("22 seconds")
        for (const id of slow) assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
        assert.strictEqual(most, 2)
      }).pipe(Effect.provide(counted), Effect.provideService(SettingsOfTypes, { slow: { concurrency: 2 } }))
    }
  )

  it.effect("a type has its own timeout and retry policy, and the other types those of the worker", () =>
    Effect.gen(function* () {
      const [strict, plain, busy] = yield* store(
        { type: "strict", maxRetries: 1 },
        { type: "plain", maxRetries: 1 },
        { type: "busy", maxRetries: 3 }
      )
      yield* startWorker(
        ({ type }) => (type === "busy" ? new RetryableFailure({ reason: "busy" }) : Effect.never),
        { attemptTimeout: Duration.seconds(20) }
      )
      yield* pass("2 seconds")
      const failed = (yield* timeline(strict)).at(-1)
      assert.strictEqual(failed?.reasonCode, "TIMEOUT")
      assert.match(failed?.reason ?? "", /longer than 2s/)
      assert.deepStrictEqual(yield* events(plain), ["created", "started"])
      assert.deepStrictEqual(yield* events(busy), ["created", "started", "retried"])
      yield* pass("18 seconds")
      assert.strictEqual((yield* timeline(plain)).at(-1)?.reasonCode, "TIMEOUT")
      yield* pass("10 seconds")
      assert.lengthOf(yield* events(busy), 5)
    }).pipe(
      Effect.provide(Memory.layer),
      Effect.provideService(SettingsOfTypes, {
        strict: { attemptTimeout: Duration.seconds(2) },
        busy: { retryPolicy: { delay: Duration.seconds(30), jitter: 0 } }
      })
    )
  )
})

describe("room for further orders", () => {
  it.effect("an order that becomes final lets the next one of its ordering key start at once", () =>
    Effect.gen(function* () {
      const running: Array<number> = []
      const orders = Array.from({ length: 6 }, (_, n) => ({ orderingKey: "k", payload: { n } }))
      const ids = yield* store(...orders)
      yield* startWorker(({ payload }) =>
        Effect.andThen(
          Effect.sync(() => void running.push((payload as { readonly n: number }).n)),
          Effect.sleep("100 millis")
        )
      )
      yield* pass("1 second")
      for (const id of ids) assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
      assert.deepStrictEqual(running, [0, 1, 2, 3, 4, 5])
    }).pipe(Effect.provide(Memory.layer))
  )

  it.effect(
    "an attempt that ends lets another order of its group start at once, in another process too",
    () =>
      Effect.gen(function* () {
        const { control } = yield* allStores
        yield* control.setGroupLimits("acme", { ...noLimits, maxRunning: 1 })
        const ids = yield* store(
          { group: "acme", type: "a" },
          { group: "acme", type: "a" },
          { group: "acme", type: "b" }
        )
        const process = ({ attempt }: { readonly attempt: number }) =>
          attempt === 1
            ? Effect.andThen(
                Effect.sleep("1 second"),
                new RetryableFailure({ reason: "busy", retryIn: Duration.minutes(1) })
              )
            : Effect.void
        yield* startWorker(process, { name: "w1", types: ["a"] })
        yield* startWorker(process, { name: "w2", types: ["b"] })
        yield* pass("3200 millis")
        for (const id of ids) assert.deepStrictEqual(yield* events(id), ["created", "started", "retried"])
      }).pipe(Effect.provide(Memory.layer))
  )

  it.effect("an outcome that lets no order start is not announced", () => {
    let claims = 0
    const counted = storesWith((work) => ({ claim: (request) => (claims++, work.claim(request)) }))
    return Effect.gen(function* () {
      const [id] = yield* store({})
      yield* startWorker(() => Effect.sleep("5 seconds"))
      yield* pass("1 second")
      const before = claims
      yield* pass("5 seconds")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
      assert.strictEqual(claims, before)
    }).pipe(Effect.provide(counted))
  })

  it.effect(
    "a claim that left orders which may start is followed by another one soon, without a busy loop",
    () => {
      let claims = 0
      const incomplete = storesWith((work) => ({
        claim: (request) =>
          Effect.map(work.claim(request), (claim) => ({ ...claim, isIncomplete: ++claims < 20 }))
      }))
      return Effect.gen(function* () {
        yield* startWorker(() => Effect.void)
        yield* pass("50 millis")
        assert.isAtMost(claims, 11)
        yield* pass("2 seconds")
        assert.strictEqual(claims, 20)
      }).pipe(Effect.provide(incomplete))
    }
  )
})
