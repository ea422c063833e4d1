import { type Context, type Duration, Effect, Fiber, type Scope } from "effect"
import { makeAlarm } from "./Deadlines.ts"

/** Ends what takes longer than a limit. */
export interface TimeLimit {
  /** Interrupts the effect at the limit, waits for that, and goes on with the other. */
  readonly within: <A, E, R, B, E2, R2>(
    effect: Effect.Effect<A, E, R>,
    late: Effect.Effect<B, E2, R2>
  ) => Effect.Effect<A | B, E | E2, R | R2>
  /**
   * The same without a fiber for it: at the limit the running fiber is interrupted, and from then on can run nothing
   * interruptible. For the last thing that a fiber does, in an uninterruptible region; the effect itself is interruptible.
   */
  readonly lastWithin: <A, E, R, B, E2, R2>(
    effect: Effect.Effect<A, E, R>,
    late: Effect.Effect<B, E2, R2>
  ) => Effect.Effect<A | B, E | E2, R | R2>
}

/**
 * One limit for very many short effects, with one alarm for all of them. `Effect.timeoutOrElse` pays two fibers and a
 * timer each, which is more than most requests and attempts cost themselves.
 */
export const makeTimeLimit = Effect.fnUntraced(function* (
  limit: Duration.Duration
): Effect.fn.Return<TimeLimit, never, Scope.Scope> {
  const alarm = yield* makeAlarm(limit)
  return {
    within: <A, E, R, B, E2, R2>(effect: Effect.Effect<A, E, R>, late: Effect.Effect<B, E2, R2>) =>
      Effect.contextWith((context: Context.Context<R>) =>
        Effect.callback<A | B, E | E2, R2>((resume) => {
          const fiber = Effect.runForkWith(context)(effect)
          const exit = fiber.pollUnsafe()
          if (exit !== undefined) return resume(exit)
          const ring = alarm.set(() => resume(Effect.andThen(Fiber.interrupt(fiber), late)))
          fiber.addObserver((exit) => {
            alarm.cancel(ring)
            resume(exit)
          })
          return Effect.suspend(() => {
            alarm.cancel(ring)
            return Fiber.interrupt(fiber)
          })
        })
      ),
    lastWithin: <A, E, R, B, E2, R2>(effect: Effect.Effect<A, E, R>, late: Effect.Effect<B, E2, R2>) =>
      Effect.withFiber<A | B, E | E2, R | R2>((fiber) => {
        let isLate = false
        const ring = alarm.set(() => {
          isLate = true
          fiber.interruptUnsafe()
        })
        return Effect.matchCauseEffect(Effect.interruptible(effect), {
          onSuccess: (value) => {
            alarm.cancel(ring)
            return Effect.succeed(value)
          },
          onFailure: (cause): Effect.Effect<B, E | E2, R2> => {
            alarm.cancel(ring)
            return isLate ? late : Effect.failCause(cause)
          }
        })
      })
  }
})
