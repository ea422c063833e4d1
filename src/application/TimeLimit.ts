import { Clock, type Context, Duration, Effect, Fiber, Scope } from "effect"

interface Running {
  readonly end: number
  readonly giveUp: () => void
}

/** Ends what takes longer than a limit. */
export interface TimeLimit {
  /** Interrupts the effect at the limit, waits for that, and goes on with the other. */
  readonly within: <A, E, R, B, E2, R2>(
    effect: Effect.Effect<A, E, R>,
    late: Effect.Effect<B, E2, R2>
  ) => Effect.Effect<A | B, E | E2, R | R2>
}

/**
 * One limit for very many short effects, with one alarm for all of them: since the limit is the same, they end in the
 * order in which they began, and only the oldest has to be watched. `Effect.timeoutOrElse` pays two fibers and a
 * timer each, which is more than most requests and attempts cost themselves.
 */
export const makeTimeLimit = Effect.fnUntraced(function* (
  limit: Duration.Duration
): Effect.fn.Return<TimeLimit, never, Scope.Scope> {
  // A scope of its own, made now: an alarm that is set later must not end before what closes ahead of this limit.
  const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const context = yield* Effect.context()
  const clock = yield* Clock.Clock
  const limitMs = Duration.toMillis(limit)
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1000n) / 1000
  const running = new Set<Running>()
  let watched = false

  const watch: Effect.Effect<void> = Effect.suspend(() => {
    for (const oldest of running) {
      const left = oldest.end - now()
      if (left > 0) return Effect.andThen(Effect.sleep(Math.ceil(left)), watch)
      running.delete(oldest)
      oldest.giveUp()
    }
    watched = false
    return Effect.void
  })

  const begin = (giveUp: () => void): Running => {
    const one = { end: now() + limitMs, giveUp }
    running.add(one)
    if (!watched) {
      watched = true
      Fiber.runIn(Effect.runForkWith(context)(watch), scope)
    }
    return one
  }

  return {
    within: <A, E, R, B, E2, R2>(effect: Effect.Effect<A, E, R>, late: Effect.Effect<B, E2, R2>) =>
      Effect.contextWith((context: Context.Context<R>) =>
        Effect.callback<A | B, E | E2, R2>((resume) => {
          const fiber = Effect.runForkWith(context)(effect)
          const exit = fiber.pollUnsafe()
          if (exit !== undefined) return resume(exit)
          const one = begin(() => resume(Effect.andThen(Fiber.interrupt(fiber), late)))
          fiber.addObserver((exit) => {
            running.delete(one)
            resume(exit)
          })
          return Effect.suspend(() => {
            running.delete(one)
            return Fiber.interrupt(fiber)
          })
        })
      )
  }
})
