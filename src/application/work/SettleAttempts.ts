import { Effect, Metric, Queue } from "effect"
import { pauseAfterError } from "../../concurrency/PauseAfterError.ts"
import { increment } from "../../concurrency/Measure.ts"
import type { Outcome, ProcessingOrder } from "../../domain/Order.ts"
import { type SettleResult, WorkStore } from "../ports/WorkStore.ts"
import { announceRoom } from "./AnnounceRoom.ts"
import { aboutOrder, type FinishedAttempt, recordInFlight, type WorkerState } from "./WorkerState.ts"
import { attempts, deadLetterEntries, recordFinal, staleSettles } from "./WorkMetrics.ts"

/** The maximum number of outcomes that one statement stores. */
const maxGroup = 256

type Group = ReadonlyArray<FinishedAttempt>

/**
 * The settle loop of a worker. It stores outcomes in groups, with one statement for each group. While the
 * store is unavailable it repeats the same group; the store recognises outcomes that it has already stored.
 * The loop ends when the queue has ended and every outcome is stored.
 */
export const settleAttempts = (state: WorkerState): Effect.Effect<void, never, WorkStore> =>
  // The yield lets attempts that end at the same moment join the group.
  Queue.peek(state.finished).pipe(
    Effect.andThen(Effect.yieldNow),
    Effect.andThen(Queue.takeBetween(state.finished, 1, maxGroup)),
    Effect.flatMap((group) =>
      Effect.catchDefect(settleGroup(group, state), () => settleOneByOne(group, state))
    ),
    Effect.forever,
    Effect.catchTag("Done", () => Effect.void)
  )

const settleGroup = Effect.fnUntraced(function* (group: Group, state: WorkerState) {
  const results = yield* store(group)
  for (const { attempt } of group) state.attempts.remove(attempt)
  const settled = group.map(({ attempt: { order }, outcome }, index): SettledAttempt => ({
    order,
    outcome,
    result: results[index] ?? "stale"
  }))
  yield* reportSettled(settled)
  yield* recordInFlight(state)
  announceRoom(settled, state)
})

const store = (group: Group) =>
  Effect.flatMap(WorkStore, (store) =>
    store.settle(group.map(({ attempt, outcome }) => ({ order: attempt.order, outcome })))
  ).pipe(
    Effect.tapError((error) =>
      Effect.andThen(Effect.logDebug(`Could not settle: ${error.message}`), pauseAfterError)
    ),
    Effect.eventually
  )

/**
 * Stores each outcome of a group separately, after one refused outcome made the whole group fail. The
 * order of the refused outcome has no attempt any more, so the next heartbeat releases it.
 */
const settleOneByOne = (group: Group, state: WorkerState) =>
  Effect.forEach(
    group,
    (finished) =>
      Effect.catchCause(settleGroup([finished], state), (cause) => {
        const { attempt } = finished
        state.attempts.remove(attempt)
        return aboutOrder(attempt.order)(
          Effect.logError(`Could not store the outcome of order ${attempt.order.id}`, cause)
        )
      }),
    { discard: true }
  )

/** An attempt whose outcome was sent to the store, and the store's result. */
interface SettledAttempt {
  readonly order: ProcessingOrder
  readonly outcome: Outcome
  readonly result: SettleResult
}

/**
 * Counts settled attempts, once for each outcome of a group, and logs failed, retried, cancelled and stale ones. The
 * store may have cancelled an order although its attempt had another outcome; it is counted and logged with that
 * outcome.
 */
export const reportSettled = Effect.fnUntraced(function* (group: ReadonlyArray<SettledAttempt>) {
  const stored = group.filter(({ result }) => result !== "stale")
  const byEvent = Map.groupBy(stored, ({ outcome }) => outcome.event)
  for (const [outcome, { length }] of byEvent) yield* increment(attempts, { outcome }, length)
  const final = (["completed", "failed", "cancelled"] as const).flatMap((event) => byEvent.get(event) ?? [])
  yield* recordFinal(final.map(({ order }) => order.createdAt))
  for (const attempt of group)
    if (attempt.result === "stale" || attempt.outcome.event !== "completed")
      yield* reportUnsuccessful(attempt)
})

const reportUnsuccessful = Effect.fnUntraced(function* ({ order, outcome, result }: SettledAttempt) {
  const log = aboutOrder(order)
  if (result === "stale") {
    yield* Metric.update(staleSettles, 1)
    return yield* log(Effect.logWarning(`Dropped a stale outcome of order ${order.id}: ${outcome.event}.`))
  }
  switch (outcome.event) {
    case "failed":
      yield* increment(deadLetterEntries, { reason_code: outcome.failure.reasonCode })
      return yield* log(Effect.logWarning(`Order ${order.id} FAILED: ${outcome.failure.reason}`))
    case "cancelled":
      return yield* log(Effect.logDebug(`Order ${order.id} was cancelled while its attempt ran.`))
    case "retried":
      return yield* log(Effect.logDebug(`Order ${order.id} will be retried: ${outcome.failure.reason}`))
  }
})
