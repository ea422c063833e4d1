import { type Duration, Effect, type Scope } from "effect"
import { makeDeadlines } from "./Deadlines.ts"

/**
 * Interrupts the effect at the limit, waits until it has ended, and continues with `onTimeout`. At the limit
 * the calling fiber itself is interrupted, and stays interrupted: any interruptible effect that it runs later
 * ends at once. So call this in an uninterruptible region, as the last step of a fiber. Only `effect` is made
 * interruptible.
 */
export type TimeLimit = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  onTimeout: Effect.Effect<B, E2, R2>
) => Effect.Effect<A | B, E | E2, R | R2>

/**
 * The same time limit for each of many short effects, with one timer and one fiber for all of them. The simpler
 * alternative, `Effect.timeoutOrElse`, takes two fibers and a timer for each effect: 6 µs instead of 0.8 µs with 100
 * concurrent effects.
 */
export const makeTimeLimit = Effect.fnUntraced(function* (
  limit: Duration.Duration
): Effect.fn.Return<TimeLimit, never, Scope.Scope> {
  const deadlines = yield* makeDeadlines(limit)

  return <A, E, R, B, E2, R2>(effect: Effect.Effect<A, E, R>, onTimeout: Effect.Effect<B, E2, R2>) =>
    Effect.withFiber<A | B, E | E2, R | R2>((fiber) => {
      let isTimedOut = false
      const deadline = deadlines.set(() => {
        isTimedOut = true
        fiber.interruptUnsafe()
      })
      return Effect.matchCauseEffect(Effect.interruptible(effect), {
        onSuccess: (value) => {
          deadlines.cancel(deadline)
          return Effect.succeed(value)
        },
        onFailure: (cause): Effect.Effect<B, E | E2, R2> => {
          deadlines.cancel(deadline)
          return isTimedOut ? onTimeout : Effect.failCause(cause)
        }
      })
    })
})
