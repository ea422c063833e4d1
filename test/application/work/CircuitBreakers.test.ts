import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Metric } from "effect"
import { TestClock } from "effect/testing"
import { PermanentFailure, RetryableFailure, Snooze } from "../../../src/application/ports/OrderProcessor.ts"
import { BreakerSettings, makeCircuitBreakers } from "../../../src/application/work/CircuitBreakers.ts"
import { breakerOpen } from "../../../src/application/work/WorkMetrics.ts"
import { failure, type ReasonCode } from "../../../src/domain/Failure.ts"
import type { Outcome } from "../../../src/domain/Order.ts"
import { RetryPolicy } from "../../../src/domain/RetryPolicy.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { pass } from "../../VirtualTime.ts"
import { events, startWorker, store } from "./Workers.ts"

const completed: Outcome = { event: "completed" }
const retried = (code: ReasonCode): Outcome => ({
  event: "retried",
  failure: failure(code, "x"),
  delay: Duration.seconds(1)
})
const failed = (code: ReasonCode): Outcome => ({ event: "failed", failure: failure(code, "x") })
const broken = retried("PROCESSING_FAILED")

/** The breakers of a worker, and the events of attempts that start and end at once. */
const breakers = Effect.gen(function* () {
  const made = yield* makeCircuitBreakers
  const attempt = (outcome: Outcome | null, type = "a") => made.end(type, made.start(type), outcome)
  return {
    ...made,
    attempt,
    attempts: (count: number, outcome: Outcome | null, type?: string) =>
      Array.from({ length: count }, () => attempt(outcome, type)).filter((event) => event !== null)
  }
})

describe("a circuit breaker", () => {
  it.effect(
    "opens when the share of failed attempts reaches its limit, and not before enough have ended",
    () =>
      Effect.gen(function* () {
        const { attempt, attempts, open, room } = yield* breakers
        assert.deepStrictEqual(attempts(19, broken), [])
        assert.deepStrictEqual(room(), {})
        assert.deepStrictEqual(attempt(broken), { event: "opened", type: "a", failed: 20, judged: 20 })
        assert.deepStrictEqual(room(), { a: 0 })
        assert.deepStrictEqual(open(), [{ type: "a", state: "open", since: yield* DateTime.now }])

        attempt(broken, "b")
        attempts(10, completed, "b")
        assert.deepStrictEqual(attempts(38, broken, "b"), [])
        assert.deepStrictEqual(attempts(1, broken, "b"), [
          { event: "opened", type: "b", failed: 40, judged: 50 }
        ])
      })
  )

  it.effect("judges the last 100 attempts, so that many successes before an outage do not delay it", () =>
    Effect.gen(function* () {
      const { attempt, attempts } = yield* breakers
      attempt(broken)
      attempts(5000, completed)
      assert.deepStrictEqual(attempts(79, broken), [])
      assert.deepStrictEqual(attempt(broken), { event: "opened", type: "a", failed: 80, judged: 100 })
    })
  )

  it.effect("judges only attempts that ended within the window", () =>
    Effect.gen(function* () {
      const { attempt, attempts } = yield* breakers
      attempts(19, broken)
      yield* TestClock.adjust("10001 millis")
      assert.deepStrictEqual(attempts(19, broken), [])
      assert.deepStrictEqual(attempt(broken), { event: "opened", type: "a", failed: 20, judged: 20 })
    })
  )

  const counted = ["PROCESSING_FAILED", "TIMEOUT", "DEFECT"] as const
  const notCounted: ReadonlyArray<Outcome | null> = [
    ...(["SIMULATED", "PERMANENT", "UNDECODABLE", "WORKER_LOST", "CANCELLED"] as const).flatMap((code) => [
      retried(code),
      failed(code)
    ]),
    { event: "cancelled" },
    { event: "snoozed", delay: Duration.zero, detail: null },
    { event: "released", detail: "x" },
    null
  ]

  it.effect("counts failures that a broken dependency may cause, and no others", () =>
    Effect.gen(function* () {
      const { attempts } = yield* breakers
      for (const code of counted) {
        assert.lengthOf(attempts(20, retried(code), `retried ${code}`), 1)
        assert.lengthOf(attempts(20, failed(code), `failed ${code}`), 1)
      }
      attempts(1, broken)
      for (const outcome of notCounted) assert.deepStrictEqual(attempts(200, outcome), [])
      assert.lengthOf(attempts(19, broken), 1)
    })
  )

  it.effect("lets one probe at a time start after the interval, and closes when one completes", () =>
    Effect.gen(function* () {
      const { attempts, end, nextProbeIn, open, room, start } = yield* breakers
      const early = start("a")
      attempts(20, broken)
      assert.strictEqual(nextProbeIn(), 1000)
      assert.isNull(end("a", early, completed), "an attempt from before the opening")
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(room(), { a: 0 })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([room(), nextProbeIn()], [{ a: 1 }, null])
      assert.deepInclude(open()[0], { state: "half-open" })

      for (const outcome of [broken, ...notCounted]) {
        const probe = start("a")
        assert.deepStrictEqual([room(), nextProbeIn()], [{ a: 0 }, null])
        assert.deepInclude(open()[0], { state: "half-open" })
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(end("a", probe, outcome), { event: "probed", type: "a" })
        assert.deepStrictEqual([room(), nextProbeIn()], [{ a: 0 }, 1000])
        assert.deepInclude(open()[0], { state: "open" })
        yield* TestClock.adjust("1 second")
      }

      const openFor = Duration.seconds(1 + (1 + notCounted.length) * 6)
      const [last, other] = [start("a"), start("a")]
      assert.deepStrictEqual(end("a", last, completed), { event: "closed", type: "a", openFor })
      assert.deepStrictEqual([room(), open(), nextProbeIn()], [{}, [], null])
      assert.isNull(end("a", other, broken), "a probe of an opening that has ended")
      assert.deepStrictEqual(attempts(19, broken), [], "nothing from before the opening is counted")
    })
  )

  it.effect("never opens if it is disabled", () =>
    Effect.gen(function* () {
      const { attempts, room } = yield* breakers
      assert.deepStrictEqual(attempts(1000, broken), [])
      assert.deepStrictEqual(room(), {})
    }).pipe(Effect.provideService(BreakerSettings, { ...BreakerSettings.defaultValue(), enabled: false }))
  )

  it.effect("is kept for at most 1,000 types, and an open one longest", () =>
    Effect.gen(function* () {
      const { attempt, attempts, open } = yield* breakers
      attempts(20, broken, "open")
      for (let n = 0; n < 5000; n++) attempt(broken, `type ${n}`)
      assert.deepStrictEqual(
        open().map(({ type }) => type),
        ["open"]
      )
      for (let n = 0; n < 2000; n++) attempts(20, broken, `type ${n}`)
      assert.lengthOf(open(), 1000)
    })
  )
})

const unavailable = new RetryableFailure({ reason: "the bank does not answer" })

describe("a worker whose attempts of a type all fail", () => {
  it.effect(
    "tries one order a second, lets the other types run, and is at full speed again after the repair",
    () => {
      let isBroken = true
      let attempts = 0
      const process = ({ type }: { readonly type: string }) =>
        type === "other"
          ? Effect.void
          : Effect.andThen(
              Effect.sync(() => void attempts++),
              Effect.delay(
                Effect.suspend(() => (isBroken ? unavailable : Effect.void)),
                "50 millis"
              )
            )
      return Effect.gen(function* () {
        const stores = yield* allStores
        const ids = yield* store(...Array.from({ length: 400 }, () => ({ type: "bank", maxRetries: 3 })))
        yield* startWorker(process, { concurrency: 20 })
        yield* pass("1 second")
        const first = attempts
        assert.isAtMost(first, 40, "attempts until the breaker opened")
        const [worker] = yield* stores.control.workers
        assert.deepInclude(worker?.breakers[0], { type: "bank", state: "open" })
        const gauge = Metric.value(Metric.withAttributes(breakerOpen, { type: "bank" }))
        assert.strictEqual((yield* gauge).value, 1)

        yield* pass("20 seconds")
        assert.isAtLeast(attempts - first, 15)
        assert.isAtMost(attempts - first, 20)
        const other = yield* store(...Array.from({ length: 100 }, () => ({ type: "other" })))
        // The announcement of a submit, as any outcome of the worker is one.
        yield* pass("2 seconds")
        for (const id of other) assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])

        isBroken = false
        yield* pass("5 seconds")
        for (const id of ids) assert.strictEqual((yield* events(id)).at(-1), "completed")
        assert.deepStrictEqual((yield* stores.control.workers)[0]?.breakers, [])
        assert.strictEqual((yield* gauge).value, 0)
        assert.strictEqual((yield* stores.reads.stats).byStatus.FAILED, 0)
      }).pipe(Effect.provide(Memory.layer))
    }
  )

  it.effect("costs no order its retries while it only waits, and few orders over a minute", () => {
    let isBroken = true
    const process = () =>
      Effect.delay(
        Effect.suspend(() => (isBroken ? unavailable : Effect.void)),
        "10 millis"
      )
    return Effect.gen(function* () {
      const stores = yield* allStores
      yield* startWorker(process, { concurrency: 20, pollInterval: Duration.seconds(1) })
      // 20 orders a second for a minute, a tenth of the rate of test/external/Breaker.external.ts.
      for (let second = 0; second < 60; second++) {
        yield* store(...Array.from({ length: 20 }, () => ({ type: "bank", maxRetries: 3 })))
        yield* pass("1 second")
      }
      isBroken = false
      yield* pass("10 seconds")
      const { FAILED, PENDING, PROCESSED } = (yield* stores.reads.stats).byStatus
      assert.isAtMost(FAILED, 60)
      assert.deepStrictEqual([PENDING, PROCESSED + FAILED], [0, 1200])
    }).pipe(
      Effect.provide(Memory.layer),
      Effect.provideService(RetryPolicy, { ...RetryPolicy.defaultValue(), jitter: 0 })
    )
  })

  it.effect("goes on claiming them if what fails are the orders, not what they need", () => {
    const outcomes = [
      new PermanentFailure({ reason: "no such item" }),
      new Snooze({ delay: Duration.hours(1) })
    ]
    let started = 0
    return Effect.gen(function* () {
      yield* store(...Array.from({ length: 300 }, () => ({ type: "bank" })))
      yield* startWorker(() => Effect.suspend(() => Effect.fail(outcomes[started++ % 2]!)), {
        concurrency: 10
      })
      yield* pass("1 second")
      assert.strictEqual(started, 300)
    }).pipe(Effect.provide(Memory.layer))
  })
})
