import { type Cause, Effect, Exit, Queue } from "effect"
import type { Outcome } from "../domain/Order.ts"
import { drop, type InHand, type OrdersInHand } from "./OrdersInHand.ts"
import { OrderRepository } from "./ports/OrderRepository.ts"
import { pauseAfterTrouble } from "./WorkerSettings.ts"

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
  inHand: OrdersInHand
) {
  const repository = yield* OrderRepository

  const settle = (group: ReadonlyArray<Finished>) =>
    repository.settle(group.map(({ attempt, outcome }) => ({ order: attempt.order, outcome }))).pipe(
      Effect.tapError((error) =>
        Effect.andThen(Effect.logDebug(`The worker could not settle: ${error.message}`), pauseAfterTrouble)
      ),
      Effect.eventually
    )

  const report = ({ attempt: { order }, outcome }: Finished, settled: boolean) => {
    if (!settled)
      return Effect.logWarning(`A stale result of order ${order.id} was dropped: ${outcome.event}.`)
    if (outcome.event === "failed")
      return Effect.logWarning(`Order ${order.id} FAILED: ${outcome.failure.reason}`)
    if (outcome.event === "retried")
      return Effect.logDebug(`Order ${order.id} will be retried: ${outcome.failure.reason}`)
    return Effect.void
  }

  const settleGroup = Effect.fnUntraced(function* (group: ReadonlyArray<Finished>) {
    const settled = yield* settle(group)
    for (const [index, one] of group.entries()) {
      drop(inHand, one.attempt)
      yield* report(one, settled[index] === true).pipe(
        Effect.annotateLogs({ orderId: one.attempt.order.id, correlationId: one.attempt.order.correlationId })
      )
    }
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
                Effect.sync(() => drop(inHand, one.attempt)),
                Effect.logError(
                  `The outcome of order ${one.attempt.order.id} could not be stored`,
                  exit.cause
                )
              )
        ).pipe(Effect.exit),
      { discard: true }
    )

  return yield* Queue.takeBetween(finished, 1, maxSettle).pipe(
    Effect.flatMap((group) => Effect.catchDefect(settleGroup(group), () => settleApart(group))),
    Effect.forever,
    Effect.catchTag("Done", () => Effect.void)
  )
})
