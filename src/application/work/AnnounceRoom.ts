import { Effect } from "effect"
import { pauseAfterError } from "../../concurrency/PauseAfterError.ts"
import type { Outcome, ProcessingOrder } from "../../domain/Order.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import type { WorkerState } from "./WorkerState.ts"

/** The shortest time between two announcements of room. */
const pause = "20 millis"

interface Settled {
  readonly order: ProcessingOrder
  readonly outcome: Outcome
}

/**
 * Wakes claim loops if these settled outcomes may let further orders start. In every process: the next order of the
 * same ordering key after a final outcome, another order of the same group after any outcome, and the order itself
 * after a release. Only in this process: an order with a new due time, because the claim loop may be waiting until a
 * later time. All other outcomes, which are the most frequent, let no order start.
 */
export const announceRoom = (settled: ReadonlyArray<Settled>, state: WorkerState): void => {
  let freed = 0
  let isRescheduled = false
  for (const { order, outcome } of settled) {
    const isFinal = !("delay" in outcome)
    if (!isFinal) isRescheduled = true
    if (order.group !== null || (order.orderingKey !== null && isFinal) || outcome.event === "released")
      freed++
  }
  if (freed > 0 || isRescheduled) state.claimNow.send()
  if (freed === 0) return
  state.freed += freed
  state.announceNow.send()
}

/**
 * Announces room to other processes, at most fifty times a second, since every announcement makes every process with a
 * free slot claim. Never ends.
 */
export const announceFreed = (state: WorkerState): Effect.Effect<never, never, WakeUp> =>
  state.announceNow.await.pipe(
    Effect.andThen(announceRest(state)),
    Effect.andThen(Effect.sleep(pause)),
    Effect.forever
  )

/** Announces the room that was not announced yet. */
export const announceRest = (state: WorkerState): Effect.Effect<void, never, WakeUp> =>
  Effect.flatMap(WakeUp, (wakeUp) =>
    Effect.suspend(() => {
      const { freed } = state
      state.freed = 0
      return freed === 0 ? Effect.void : wakeUp.announce(freed)
    })
  )

/**
 * Forwards announcements of all processes to the claim loop and to the fiber that checks for cancels. The claim loop
 * alone would not receive them while it waits for a slot. Never ends.
 */
export const receiveAnnouncements = ({
  claimNow,
  findCancelsNow
}: WorkerState): Effect.Effect<never, never, WakeUp> =>
  Effect.flatMap(WakeUp, (wakeUp) => wakeUp.awaitAnnouncement).pipe(
    Effect.andThen(
      Effect.sync(() => {
        claimNow.send()
        findCancelsNow.send()
      })
    ),
    // Without this handler a defect of an app's own wake-up would end the loop, and the worker would only poll.
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("Could not receive announcements", defect), pauseAfterError)
    ),
    Effect.forever
  )
