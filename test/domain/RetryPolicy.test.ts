import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Pull, Schedule, Schema } from "effect"
import { delayAfter, RetryPolicy, schedule } from "../../src/domain/RetryPolicy.ts"

const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000_000 }))
const Attempt = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))
const Random = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true }))
const Policy = Schema.Struct({
  backoff: Schema.Literals(["exponential", "fixed"]),
  delay: Schema.Union([Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 })), Millis]),
  maxDelay: Millis,
  jitter: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
})

const policyOf = (given: typeof Policy.Type): RetryPolicy => ({
  backoff: given.backoff,
  delay: Duration.millis(given.delay),
  maxDelay: Duration.millis(given.maxDelay),
  jitter: given.jitter
})
const unjittered = (given: typeof Policy.Type) => policyOf({ ...given, jitter: 0 })
const millisAfter = (policy: RetryPolicy, attempt: number, random = 0.5) =>
  Effect.map(delayAfter(policy, attempt, random), Duration.toMillis)

/** The expected delay: the base, doubled with each failure if the policy is exponential, and capped. */
const plain = ({ backoff, delay, maxDelay }: typeof Policy.Type, attempt: number) =>
  Math.min(backoff === "fixed" ? delay : delay * 2 ** (attempt - 1), maxDelay)

describe("RetryPolicy", () => {
  it.effect("the default waits 1 s, doubled each time, and never longer than 5 minutes", () =>
    Effect.gen(function* () {
      const policy = { ...(yield* RetryPolicy), jitter: 0 }
      const delays = yield* Effect.forEach([1, 2, 3, 4, 9, 10, 11, 100], (n) => millisAfter(policy, n))
      assert.deepStrictEqual(delays, [1000, 2000, 4000, 8000, 256_000, 300_000, 300_000, 300_000])
    })
  )

  it.effect("the default jitter changes that by up to a fifth, depending on the random number", () =>
    Effect.gen(function* () {
      const policy = yield* RetryPolicy
      const delays = yield* Effect.forEach([0, 0.25, 0.5, 0.75], (random) => millisAfter(policy, 3, random))
      assert.deepStrictEqual(delays, [3200, 3600, 4000, 4400])
    })
  )

  it.effect("the cap holds after the jitter", () =>
    Effect.gen(function* () {
      const policy = yield* RetryPolicy
      assert.strictEqual(yield* millisAfter(policy, 9, 0.999), 300_000)
      assert.strictEqual(yield* millisAfter(policy, 50, 0.999), 300_000)
      assert.strictEqual(yield* millisAfter(policy, 50, 0), 240_000)
    })
  )

  it.effect("a fixed policy waits the same after every failure", () =>
    Effect.gen(function* () {
      const policy = policyOf({ backoff: "fixed", delay: 700, maxDelay: 60_000, jitter: 0 })
      assert.deepStrictEqual(
        yield* Effect.forEach([1, 2, 50], (n) => millisAfter(policy, n)),
        [700, 700, 700]
      )
    })
  )

  it.effect.prop(
    "every unjittered delay is base * 2^(attempt - 1), or the base if fixed, capped",
    { policy: Policy, attempt: Attempt, random: Random },
    ({ attempt, policy, random }) =>
      Effect.gen(function* () {
        assert.strictEqual(
          yield* millisAfter(unjittered(policy), attempt, random),
          Math.round(plain(policy, attempt))
        )
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "every jittered delay is in whole milliseconds, within the policy's share of the unjittered one, and never above the cap",
    { policy: Policy, attempt: Attempt, random: Random },
    ({ attempt, policy, random }) =>
      Effect.gen(function* () {
        const delay = yield* millisAfter(policyOf(policy), attempt, random)
        const expected = plain(policy, attempt)
        const atLeast = Math.round(expected * (1 - policy.jitter))
        const atMost = Math.round(Math.min(expected * (1 + policy.jitter), policy.maxDelay))
        assert(Number.isSafeInteger(delay), `${delay} ms is not whole`)
        assert(delay >= atLeast, `${delay} ms is less than ${atLeast} ms`)
        assert(delay <= atMost, `${delay} ms is more than ${atMost} ms`)
        assert(delay <= policy.maxDelay, `${delay} ms is above the cap of ${policy.maxDelay} ms`)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "a greater random number never makes a delay shorter",
    { policy: Policy, attempt: Attempt, one: Random, other: Random },
    ({ attempt, one, other, policy }) =>
      Effect.gen(function* () {
        const less = yield* millisAfter(policyOf(policy), attempt, Math.min(one, other))
        const more = yield* millisAfter(policyOf(policy), attempt, Math.max(one, other))
        assert(less <= more, `${less} ms > ${more} ms`)
      })
  )

  it.effect.prop(
    "an unjittered delay is never shorter than the one before",
    { policy: Policy },
    ({ policy }) =>
      Effect.gen(function* () {
        const delays = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, n) => n + 1),
          (n) => millisAfter(unjittered(policy), n)
        )
        assert.deepStrictEqual(
          delays,
          [...delays].sort((a, b) => a - b)
        )
      })
  )

  it.effect.prop(
    "a worker that starts at any stored attempt waits as long as one that ran the whole schedule",
    { policy: Policy, attempt: Attempt },
    ({ attempt, policy }) =>
      Effect.gen(function* () {
        const step = yield* Schedule.toStep(schedule(policyOf(policy)))
        const running: Array<number> = []
        for (let elapsed = 0; running.length < attempt;) {
          const [, delay] = yield* Pull.catchDone(step(elapsed, undefined), () => Effect.die("it ended"))
          running.push(Math.round(Duration.toMillis(delay)))
          elapsed += Duration.toMillis(delay)
        }
        assert.strictEqual(yield* millisAfter(unjittered(policy), attempt), running.at(-1))
      })
  )
})
