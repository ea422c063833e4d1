import { Duration, Effect } from "effect"
import { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { claimTimeout } from "./WorkerSettings.ts"
import { type Attempt, interruptAttempt, type WorkerState } from "./WorkerState.ts"

/** The longest time between two checks for cancels while attempts run. */
const interval = Duration.seconds(1)

/** The shortest time between two checks, however many announcements arrive. */
const pause = Duration.millis(200)

/**
 * Interrupts running attempts whose cancel was requested in any process. While attempts run, it checks for requests
 * once a second, and soon after each announcement. An attempt that is storing its outcome is not interrupted. Never
 * ends.
 */
export const cancelAttempts = (state: WorkerState): Effect.Effect<never, never, WorkStore> =>
  Effect.timeoutOption(state.findCancelsNow.await, Duration.subtract(interval, pause)).pipe(
    Effect.andThen(interruptRequested(state)),
    Effect.catchTag("OrdersUnavailable", (error) =>
      Effect.logDebug(`Could not look for cancels: ${error.message}`)
    ),
    // Without this handler a defect would end the loop, and requests would wait for the heartbeat.
    Effect.catchDefect((defect) => Effect.logError("Could not look for cancels", defect)),
    Effect.andThen(Effect.sleep(pause)),
    Effect.forever
  )

const interruptRequested = Effect.fnUntraced(function* (state: WorkerState) {
  const { attempts, id, settings } = state
  const isRunning = ({ fiber, order, phase }: Attempt) =>
    fiber !== null && phase === "processing" && order.worker === id
  // Only attempts that ran before the check: a later attempt at the same order, after a reprocess, is not cancelled.
  const running = attempts.all().filter(isRunning)
  if (running.length === 0) return
  const store = yield* WorkStore
  const requested = yield* store.findCancelRequests(id).pipe(
    Effect.timeoutOrElse({
      duration: claimTimeout(settings),
      orElse: () => Effect.fail(new OrdersUnavailable({ message: "the look for cancels took too long" }))
    })
  )
  if (requested.length === 0) return
  const ids = new Set(requested)
  for (const attempt of running)
    if (ids.has(attempt.order.id) && isRunning(attempt)) interruptAttempt(attempt, "cancelled")
})
