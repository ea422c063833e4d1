import { Effect } from "effect"
import { interruptAttempt, type WorkerState } from "./WorkerState.ts"

/**
 * After the store has refused this id of the worker: interrupts the attempts that run under it, since other workers may
 * have their orders, and continues under a new id. Does nothing if the worker has a new id already. An attempt that is
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
