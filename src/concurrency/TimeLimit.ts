import { type Duration, Effect, type Scope } from "effect"
import { makeDeadlines } from "./Deadlines.ts"

/**
 * Interrupts the effect at the limit, waits until it has ended, and continues with `onTimeout`. The limit interrupts
 * the calling fiber, which can then run nothing interruptible, so use it only for the last step of a fiber, in an
 * uninterruptible region. The effect itself is interruptible.
 */
export type TimeLimit = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  onTimeout: Effect.Effect<B, E2, R2>
) => Effect.Effect<A | B, E | E2, R | R2>

/**
 * One time limit for many short effects, with a single timer and no additional fibers. Plain form:
 * `Effect.timeoutOrElse`, which takes two fibers and a timer for each effect. Measured with 100 concurrent effects: 6
 * µs each for the plain form, 0.8 µs here.
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
