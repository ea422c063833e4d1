import { Effect } from "effect"
import { interruptAttempt, type WorkerState } from "./WorkerState.ts"

/**
 * Continues under a new id after the store has refused this one. Interrupts the attempts that run under the refused id,
 * because other workers may have their orders. Does nothing if the worker already has a new id. An attempt that is
 * storing its outcome is not interrupted; the store refuses the outcome if the order was expired.
 */
export const takeNewId = (expired: string, state: WorkerState): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (state.id !== expired) return Effect.void
    state.id = nextId(expired, state.settings.name)
    for (const attempt of state.attempts.all())
      if (attempt.order.worker === expired) interruptAttempt(attempt, "lease lost")
    state.reportNow.send()
    return Effect.logWarning(
      `The lease of worker ${expired} ended and its orders went to other workers; it continues as ${state.id}.`
    )
  })

/** The name, then `name#2`, `name#3` and so on. */
const nextId = (id: string, name: string): string =>
  `${name}#${id === name ? 2 : Number(id.slice(name.length + 1)) + 1}`
