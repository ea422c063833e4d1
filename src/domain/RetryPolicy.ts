import { Context, Duration, Effect, Pull, Schedule } from "effect"

/**
 * How long an order waits after a failed attempt, unless the processor gives `retryIn` or the lease expired. `jitter` is
 * the share (0 to 1) by which a delay may be longer or shorter; `maxDelay` is the longest delay, jitter included.
 */
export interface RetryPolicy {
  readonly backoff: "exponential" | "fixed"
  readonly delay: Duration.Duration
  readonly maxDelay: Duration.Duration
  readonly jitter: number
}

/** The policy in force. Default: 1 s, doubled after each failure up to 5 minutes, ± 20 %. */
export const RetryPolicy = Context.Reference<RetryPolicy>("order-platform/domain/RetryPolicy", {
  defaultValue: () => ({
    backoff: "exponential",
    delay: Duration.seconds(1),
    maxDelay: Duration.minutes(5),
    jitter: 0.2
  })
})

/** The policy as a Schedule, with the cap and without jitter: its n-th step is the delay after the n-th failure. */
export const schedule = (policy: RetryPolicy): Schedule.Schedule<unknown> =>
  Schedule.min([
    policy.backoff === "exponential" ? Schedule.exponential(policy.delay) : Schedule.spaced(policy.delay),
    Schedule.spaced(policy.maxDelay)
  ])

/**
 * The delay after the given failed attempt (from 1), in whole milliseconds. The schedule is stepped from the
 * start, because the number of attempts is stored with the order and the state of a schedule is not. So a
 * restart of the worker changes no delay. `random`, from [0, 1), decides the jitter of this step only.
 */
export const delayAfter = Effect.fnUntraced(function* (policy: RetryPolicy, attempt: number, random: number) {
  const step = yield* Schedule.toStep(schedule(policy))
  let elapsed = 0
  for (let n = 1; ; n++) {
    const [, delay] = yield* Pull.catchDone(step(elapsed, n), () => Effect.die("a retry schedule never ends"))
    const millis = Duration.toMillis(delay)
    if (n >= attempt) {
      const jittered = millis * (1 + policy.jitter * (2 * random - 1))
      return Duration.millis(Math.min(Math.round(jittered), Math.floor(Duration.toMillis(policy.maxDelay))))
    }
    elapsed += millis
  }
})
