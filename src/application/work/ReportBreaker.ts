import { Duration, Effect, Metric } from "effect"
import type { Outcome } from "../../domain/Order.ts"
import type { BreakerEvent } from "./CircuitBreakers.ts"
import { breakerOpen } from "./WorkMetrics.ts"
import type { Attempt, WorkerState } from "./WorkerState.ts"

/**
 * Tells the breaker of its type how an attempt ended; `outcome` is null if that is not known. If the breaker opened or
 * closed, logs it, sets the metric and makes the heartbeat report it at once.
 */
export const reportEnd = (
  { order: { type }, probing }: Attempt,
  outcome: Outcome | null,
  { breakers, claimNow, reportNow }: WorkerState
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const event = breakers.end(type, probing, outcome)
    if (event === null) return Effect.void
    // The claim loop may be waiting without knowing the time of the next probe.
    claimNow.send()
    if (event.event === "probed") return Effect.void
    reportNow.send()
    const gauge = Metric.withAttributes(breakerOpen, { type })
    return Effect.andThen(Metric.update(gauge, event.event === "opened" ? 1 : 0), log(event))
  })

const log = (event: Exclude<BreakerEvent, { readonly event: "probed" }>) =>
  event.event === "opened"
    ? Effect.logWarning(
        `The circuit breaker of type ${event.type} opened: ${event.failed} of the last ${event.judged} attempts failed. Until an attempt completes, this worker starts only one order of the type at a time.`
      )
    : Effect.logInfo(
        `The circuit breaker of type ${event.type} closed after ${Duration.format(event.openFor)}.`
      )
