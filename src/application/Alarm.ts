import { Clock, Duration, Effect, Fiber, Scope } from "effect"

/** One who is to be rung, and when. */
export interface Ring {
  readonly at: number
  readonly ring: () => void
}

/** Rings everybody the same time after they asked for it. */
export interface Alarm {
  readonly set: (ring: () => void) => Ring
  /** What was rung already may be cancelled as well. */
  readonly cancel: (ring: Ring) => void
}

/**
 * One alarm for very many who wait equally long: since the time is the same, they are rung in the order in which they
 * asked, and only the oldest has to be watched, by one fiber and one timer. It rests while nobody waits.
 */
export const makeAlarm = Effect.fnUntraced(function* (
  after: Duration.Duration
): Effect.fn.Return<Alarm, never, Scope.Scope> {
  // A scope of its own, made now: an alarm that is set later must not end before what closes ahead of this one.
  const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const context = yield* Effect.context()
  const clock = yield* Clock.Clock
  const millis = Duration.toMillis(after)
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1000n) / 1000
  const waiting = new Set<Ring>()
  let watched = false

  const watch: Effect.Effect<void> = Effect.suspend(() => {
    for (const oldest of waiting) {
      const left = oldest.at - now()
      if (left > 0) return Effect.andThen(Effect.sleep(Math.ceil(left)), watch)
      waiting.delete(oldest)
      oldest.ring()
    }
    watched = false
    return Effect.void
  })

  return {
    set: (ring) => {
      const one = { at: now() + millis, ring }
      waiting.add(one)
      if (!watched) {
        watched = true
        Fiber.runIn(Effect.runForkWith(context)(watch), scope)
      }
      return one
    },
    cancel: (ring) => void waiting.delete(ring)
  }
})
