import { Clock, Context, DateTime, Duration, Effect } from "effect"
import type { ReasonCode } from "../../domain/Failure.ts"
import type { Outcome } from "../../domain/Order.ts"
import type { OpenBreaker } from "../../domain/Workers.ts"

/** When a worker starts fewer attempts of a type, because most of them fail. */
export interface BreakerSettings {
  readonly enabled: boolean
  /** The share of failed attempts, above 0 and at most 1, at which a breaker opens. */
  readonly failureRate: number
  /** A breaker opens only after this many attempts have ended within the window. */
  readonly minimumAttempts: number
  /** How far back attempts are counted. */
  readonly window: Duration.Duration
  /** The time from the opening of a breaker to its first probe, and from a failed probe to the next one. */
  readonly probeInterval: Duration.Duration
}

/** The settings of the breakers in this process. */
export const BreakerSettings = Context.Reference<BreakerSettings>(
  "order-platform/application/work/BreakerSettings",
  {
    defaultValue: () => ({
      enabled: true,
      failureRate: 0.8,
      minimumAttempts: 20,
      window: Duration.seconds(10),
      probeInterval: Duration.seconds(1)
    })
  }
)

/**
 * Only the last attempts within the window are judged: this many, or `minimumAttempts` if that is more. Otherwise the
 * successes before a sudden outage would delay the opening by most of the window.
 */
const judgedAttempts = 100

/** The maximum number of types with a breaker, because callers choose the names of types. */
const maxTypes = 1000

/** What happened to the breaker of a type when an attempt ended. */
export type BreakerEvent =
  | {
      readonly event: "opened"
      readonly type: string
      /** The number of failed attempts among the last `judged` ones. */
      readonly failed: number
      readonly judged: number
    }
  | { readonly event: "closed"; readonly type: string; readonly openFor: Duration.Duration }
  /** A probe ended and did not close the breaker. */
  | { readonly event: "probed"; readonly type: string }

/** One opening of a breaker. Times in milliseconds of the monotonic clock, except `since`. */
interface Opening {
  readonly since: DateTime.Utc
  readonly openedAt: number
  /** No probe starts before this time. */
  probeAt: number
  /** The number of running probes. */
  probes: number
}

interface Breaker {
  /** The last attempts, oldest first, with the times of their ends in milliseconds of the monotonic clock. */
  readonly ended: Array<{ readonly at: number; readonly failed: boolean }>
  opening: Opening | null
}

/** What `start` returns for `end`: the opening in which the attempt is a probe, or null. */
export type Probing = Opening | null

/** The breakers of one worker, one for each order type that had a failure. */
export interface CircuitBreakers {
  /** For each type whose breaker is open, the number of attempts that may start now: 0, or 1 for a probe. */
  readonly room: () => Readonly<Record<string, number>>
  /** The milliseconds until the next probe may start; null if no breaker waits for a time. */
  readonly nextProbeIn: () => number | null
  /** Must be called when an attempt starts. */
  readonly start: (type: string) => Probing
  /** Must be called once when an attempt ends, with null if its outcome is not known. */
  readonly end: (type: string, probing: Probing, outcome: Outcome | null) => BreakerEvent | null
  /** The open breakers. */
  readonly open: () => ReadonlyArray<OpenBreaker>
}

/**
 * Makes the breakers of a worker. A breaker is closed at first. It opens when enough of the last attempts of its type
 * failed. While it is open, the worker claims no order of the type until the time of a probe, and then one. A probe
 * that completes closes the breaker. After any other end of a probe the next one waits for `probeInterval`. An attempt
 * that started before the breaker opened does not matter any more.
 *
 * Effect's `CircuitBreaker` is not used: it rejects a call when it is made, and an order whose attempt is rejected
 * would have been claimed for nothing (docs/adr/0011).
 */
export const makeCircuitBreakers: Effect.Effect<CircuitBreakers> = Effect.gen(function* () {
  const { enabled, failureRate, minimumAttempts, ...durations } = yield* BreakerSettings
  const clock = yield* Clock.Clock
  const maxJudged = Math.max(judgedAttempts, minimumAttempts)
  const [window, probeInterval] = [
    Duration.toMillis(durations.window),
    Duration.toMillis(durations.probeInterval)
  ]
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const breakers = new Map<string, Breaker>()

  const openings = () =>
    Array.from(breakers).flatMap(([type, { opening }]) => (opening === null ? [] : [{ type, opening }]))

  const add = (type: string): Breaker => {
    if (breakers.size >= maxTypes) {
      const types = Array.from(breakers.keys())
      breakers.delete(types.find((each) => breakers.get(each)?.opening === null) ?? types[0] ?? "")
    }
    const breaker: Breaker = { ended: [], opening: null }
    breakers.set(type, breaker)
    return breaker
  }

  const endClosed = (type: string, breaker: Breaker, failed: boolean): BreakerEvent | null => {
    const at = now()
    const { ended } = breaker
    ended.push({ at, failed })
    while (ended.length > maxJudged || (ended[0]?.at ?? at) < at - window) ended.shift()
    const count = ended.filter((attempt) => attempt.failed).length
    if (ended.length < minimumAttempts || count < ended.length * failureRate) return null
    const judged = ended.length
    ended.length = 0
    breaker.opening = {
      since: DateTime.makeUnsafe(clock.currentTimeMillisUnsafe()),
      openedAt: at,
      probeAt: at + probeInterval,
      probes: 0
    }
    return { event: "opened", type, failed: count, judged }
  }

  const endProbe = (type: string, breaker: Breaker, opening: Opening, completed: boolean): BreakerEvent => {
    opening.probes--
    if (!completed) {
      opening.probeAt = now() + probeInterval
      return { event: "probed", type }
    }
    breaker.opening = null
    return { event: "closed", type, openFor: Duration.millis(Math.round(now() - opening.openedAt)) }
  }

  return {
    room: () => {
      const at = now()
      return Object.fromEntries(
        openings().map(({ opening: { probeAt, probes }, type }) => [
          type,
          probes === 0 && at >= probeAt ? 1 : 0
        ])
      )
    },
    nextProbeIn: () => {
      const at = now()
      const waits = openings().flatMap(({ opening: { probeAt, probes } }) =>
        probes === 0 && probeAt > at ? [probeAt - at] : []
      )
      return waits.length === 0 ? null : Math.min(...waits)
    },
    start: (type) => {
      const opening = breakers.get(type)?.opening ?? null
      if (opening !== null) opening.probes++
      return opening
    },
    end: (type, probing, outcome) => {
      const failed = outcome !== null && isFailure(outcome)
      const breaker = breakers.get(type) ?? (enabled && failed ? add(type) : undefined)
      if (breaker === undefined || breaker.opening !== probing) return null
      const completed = outcome?.event === "completed"
      if (probing !== null) return endProbe(type, breaker, probing, completed)
      return failed || completed ? endClosed(type, breaker, failed) : null
    },
    open: () => {
      const at = now()
      return openings().map(({ opening: { probeAt, probes, since }, type }) => ({
        type,
        state: probes > 0 || at >= probeAt ? "half-open" : "open",
        since
      }))
    }
  }
})

/** Codes of failures that a broken dependency may cause. Others say something about the order or about the worker. */
const counted: ReadonlySet<ReasonCode> = new Set<ReasonCode>(["PROCESSING_FAILED", "TIMEOUT", "DEFECT"])

const isFailure = (outcome: Outcome): boolean =>
  (outcome.event === "retried" || outcome.event === "failed") && counted.has(outcome.failure.reasonCode)
