import { type Context, type Duration, Effect, Fiber, type Scope } from "effect"
import { makeDeadlines } from "./Deadlines.ts"

/** Interrupts effects that take longer than a limit. */
export interface TimeLimit {
  /** Interrupts the effect at the limit, waits until it has ended, and continues with `onTimeout`. */
  readonly within: <A, E, R, B, E2, R2>(
    effect: Effect.Effect<A, E, R>,
    onTimeout: Effect.Effect<B, E2, R2>
  ) => Effect.Effect<A | B, E | E2, R | R2>
  /**
   * The same without a fiber of its own: the limit interrupts the calling fiber, which can run nothing interruptible
   * afterwards. Only for the last step of a fiber, in an uninterruptible region; the effect itself is interruptible.
   */
  readonly lastWithin: <A, E, R, B, E2, R2>(
    effect: Effect.Effect<A, E, R>,
    onTimeout: Effect.Effect<B, E2, R2>
  ) => Effect.Effect<A | B, E | E2, R | R2>
}

/**
 * The same limit for many short effects, by one timer for all of them. Plain form: `Effect.timeoutOrElse`, with two fibers and
 * a timer each. Measured with 100 at a time: 6 µs for each effect, 1.2 µs here, and 0.8 µs for `lastWithin`.
 */
export const makeTimeLimit = Effect.fnUntraced(function* (
  limit: Duration.Duration
): Effect.fn.Return<TimeLimit, never, Scope.Scope> {
  const deadlines = yield* makeDeadlines(limit)

  const within = <A, E, R, B, E2, R2>(effect: Effect.Effect<A, E, R>, onTimeout: Effect.Effect<B, E2, R2>) =>
    Effect.contextWith((context: Context.Context<R>) =>
      Effect.callback<A | B, E | E2, R2>((resume) => {
        const fiber = Effect.runForkWith(context)(effect)
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) return resume(exit)
        const deadline = deadlines.set(() => resume(Effect.andThen(Fiber.interrupt(fiber), onTimeout)))
        fiber.addObserver((exit) => {
          deadlines.cancel(deadline)
          resume(exit)
        })
        return Effect.suspend(() => {
          deadlines.cancel(deadline)
          return Fiber.interrupt(fiber)
        })
      })
    )

  const lastWithin = <A, E, R, B, E2, R2>(
    effect: Effect.Effect<A, E, R>,
    onTimeout: Effect.Effect<B, E2, R2>
  ) =>
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

  return { within, lastWithin }
})
