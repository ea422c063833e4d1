import { Effect, Metric } from "effect"
import { increment } from "../../concurrency/Measure.ts"
import type { Outcome, ProcessingOrder } from "../../domain/Order.ts"
import type { SettleResult } from "../ports/WorkStore.ts"
import { attempts, deadLetterEntries, recordFinal, staleSettles } from "./WorkMetrics.ts"

/** An attempt whose outcome was sent to the store, and what the store answered. */
export interface SettledAttempt {
  readonly order: ProcessingOrder
  readonly outcome: Outcome
  readonly result: SettleResult
}

/** Counts settled attempts and logs those that were not successful. The counters cost one effect for a group. */
export const reportSettled = Effect.fnUntraced(function* (group: ReadonlyArray<SettledAttempt>) {
  const stored = group.filter(({ result }) => result !== "stale")
  const byEvent = Map.groupBy(stored, ({ outcome }) => outcome.event)
  for (const [outcome, { length }] of byEvent) yield* increment(attempts, { outcome }, length)
  const final = [...(byEvent.get("completed") ?? []), ...(byEvent.get("failed") ?? [])]
  yield* recordFinal(final.map(({ order }) => order.createdAt))
  for (const attempt of group)
    if (attempt.result === "stale" || attempt.outcome.event !== "completed")
      yield* reportUnsuccessful(attempt)
})

const reportUnsuccessful = Effect.fnUntraced(function* ({ order, outcome, result }: SettledAttempt) {
  const log = Effect.annotateLogs({ orderId: order.id, correlationId: order.correlationId })
  if (result === "stale") {
    yield* Metric.update(staleSettles, 1)
    return yield* log(Effect.logWarning(`A stale result of order ${order.id} was dropped: ${outcome.event}.`))
  }
  switch (outcome.event) {
    case "failed":
      yield* increment(deadLetterEntries, { reason_code: outcome.failure.reasonCode })
      return yield* log(Effect.logWarning(`Order ${order.id} FAILED: ${outcome.failure.reason}`))
    case "retried":
      return yield* log(Effect.logDebug(`Order ${order.id} will be retried: ${outcome.failure.reason}`))
  }
})
