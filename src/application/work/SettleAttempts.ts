import { type Cause, Effect, Exit, Metric, Queue } from "effect"
import type { Outcome, ProcessingOrder } from "../../domain/Order.ts"
import { increment } from "../../concurrency/Measure.ts"
import * as Metrics from "../OrderMetrics.ts"
import type { InHand, OrdersInHand } from "./RunningAttempts.ts"
import { WorkStore, type SettleResult } from "../ports/WorkStore.ts"
import { pauseBeforeRetry } from "../../concurrency/Backoff.ts"

/** The most outcomes written by one statement. */
const maxSettle = 256

/** An attempt in hand with what came of it. */
export interface Finished {
  readonly attempt: InHand
  readonly outcome: Outcome
}

/**
 * The settling loop of a worker: writes finished attempts in groups, so that a slow order holds back no other and a
 * busy worker pays one statement a group. While the store is away it repeats the same group until it is known
 * to be written; a repeated settle is recognised. It ends when the queue has ended and all of it is written.
 */
export const settleAttempts = Effect.fnUntraced(function* (
  finished: Queue.Dequeue<Finished, Cause.Done>,
  inHand: OrdersInHand,
  rescheduled: Queue.Enqueue<void>
) {
  const store = yield* WorkStore

  const settle = (group: ReadonlyArray<Finished>) =>
    store.settle(group.map(({ attempt, outcome }) => ({ order: attempt.order, outcome }))).pipe(
      Effect.tapError((error) =>
        Effect.andThen(Effect.logDebug(`The worker could not settle: ${error.message}`), pauseBeforeRetry)
      ),
      Effect.eventually
    )

  const settleGroup = Effect.fnUntraced(function* (group: ReadonlyArray<Finished>) {
    const results = yield* settle(group)
    for (const { attempt } of group) inHand.drop(attempt)
    yield* reportSettled(
      group.map(({ attempt: { order }, outcome }, index) => ({
        order,
        outcome,
        result: results[index] ?? "stale"
      }))
    )
    yield* Metric.update(Metrics.inFlight, inHand.size())
    // The claiming loop may sleep past the new due times, which it has not seen.
    if (group.some(({ outcome }) => "delay" in outcome)) yield* Queue.offer(rescheduled, undefined)
  })

  // An outcome that the store refuses fails its whole group; written again one by one, it fails alone and its
  // order is released by the heartbeat, since no hand holds it any more.
  const settleApart = (group: ReadonlyArray<Finished>) =>
    Effect.forEach(
      group,
      (one) =>
        Effect.onExit(settleGroup([one]), (exit) =>
          Exit.isSuccess(exit)
            ? Effect.void
            : Effect.andThen(
                Effect.sync(() => inHand.drop(one.attempt)),
                Effect.logError(
                  `The outcome of order ${one.attempt.order.id} could not be stored`,
                  exit.cause
                )
              )
        ).pipe(Effect.exit),
      { discard: true }
    )

  // The yield lets attempts that end in the same moment join the group.
  return yield* Queue.peek(finished).pipe(
    Effect.andThen(Effect.yieldNow),
    Effect.andThen(Queue.takeBetween(finished, 1, maxSettle)),
    Effect.flatMap((group) => Effect.catchDefect(settleGroup(group), () => settleApart(group))),
    Effect.forever,
    Effect.catchTag("Done", () => Effect.void)
  )
})

/** What became of an attempt in the store. */
export interface Settled {
  readonly order: ProcessingOrder
  readonly outcome: Outcome
  readonly result: SettleResult
}

/** Counts what became of attempts, and says so where somebody may have to act. Success costs no effect of its own. */
export const reportSettled = Effect.fnUntraced(function* (group: ReadonlyArray<Settled>) {
  const written = group.filter(({ result }) => result !== "stale")
  const byEvent = Map.groupBy(written, ({ outcome }) => outcome.event)
  for (const [outcome, { length }] of byEvent) yield* increment(Metrics.attempts, { outcome }, length)
  const final = [...(byEvent.get("completed") ?? []), ...(byEvent.get("failed") ?? [])]
  yield* Metrics.noteFinal(final.map(({ order }) => order.createdAt))
  for (const one of group)
    if (one.result === "stale" || one.outcome.event !== "completed") yield* reportTrouble(one)
})

const reportTrouble = Effect.fnUntraced(function* ({ order, outcome, result }: Settled) {
  const log = Effect.annotateLogs({ orderId: order.id, correlationId: order.correlationId })
  if (result === "stale") {
    yield* Metric.update(Metrics.staleSettles, 1)
    return yield* log(Effect.logWarning(`A stale result of order ${order.id} was dropped: ${outcome.event}.`))
  }
  switch (outcome.event) {
    case "failed":
      yield* increment(Metrics.deadLetterEntries, { reason_code: outcome.failure.reasonCode })
      return yield* log(Effect.logWarning(`Order ${order.id} FAILED: ${outcome.failure.reason}`))
    case "retried":
      return yield* log(Effect.logDebug(`Order ${order.id} will be retried: ${outcome.failure.reason}`))
  }
})
