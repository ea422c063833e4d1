import { Clock, Duration, Effect, Fiber, Scope } from "effect"

/** One who is to be rung, and when, between those who asked before and after it; on its own once it is over. */
export interface Ring {
  readonly at: number
  ring: (() => void) | null
  before: Ring | null
  after: Ring | null
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
  let oldest: Ring | null = null
  let youngest: Ring | null = null
  let watched = false

  // Not a Set, which keeps what it has forgotten in its old tables (docs/adr/0007): here the links are cut.
  const cancel = (one: Ring) => {
    if (one.ring === null) return
    if (one.before === null) oldest = one.after
    else one.before.after = one.after
    if (one.after === null) youngest = one.before
    else one.after.before = one.before
    one.ring = one.before = one.after = null
  }

  const watch: Effect.Effect<void> = Effect.suspend(() => {
    while (oldest !== null) {
      const left = oldest.at - now()
      if (left > 0) return Effect.andThen(Effect.sleep(Math.ceil(left)), watch)
      const { ring } = oldest
      cancel(oldest)
      ring?.()
    }
    watched = false
    return Effect.void
  })

  return {
    set: (ring) => {
      const one: Ring = { at: now() + millis, ring, before: youngest, after: null }
      if (youngest === null) oldest = one
      else youngest.after = one
      youngest = one
      if (!watched) {
        watched = true
        Fiber.runIn(Effect.runForkWith(context)(watch), scope)
      }
      return one
    },
    cancel
  }
})
