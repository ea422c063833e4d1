import { Effect } from "effect"

/** Wakes the fibers that wait for it. A signal that is sent while no fiber waits is kept for the next one. */
export interface Signal {
  readonly send: () => void
  /** Discards a signal that was kept. */
  readonly clear: () => void
  readonly await: Effect.Effect<void>
}

/**
 * A signal that reaches every waiting fiber. `Queue.sliding(1)` would be the plain form, but each of its messages
 * reaches one fiber only; `PubSub.sliding(1)` reaches all, but each fiber would need a subscription and its scope.
 */
export const makeSignal = (): Signal => {
  let isKept = false
  let waiting: Array<() => void> = []
  return {
    send: () => {
      if (waiting.length === 0) isKept = true
      const woken = waiting
      waiting = []
      for (const wake of woken) wake()
    },
    clear: () => {
      isKept = false
    },
    await: Effect.callback<void>((resume) => {
      if (isKept) {
        isKept = false
        return resume(Effect.void)
      }
      const wake = () => resume(Effect.void)
      waiting.push(wake)
      return Effect.sync(() => {
        waiting = waiting.filter((each) => each !== wake)
      })
    })
  }
}
