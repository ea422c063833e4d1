import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"

/** Lets every fiber run until all of them wait for time, or for what the test does next. */
export const settled = Effect.yieldNow.pipe(Effect.repeat({ times: 200 }))

/**
 * Lets virtual time pass in steps of at most 100 ms, with all that has to happen at each step happening then. One
 * large step would let a fiber that was woken early start its next sleep late.
 */
export const pass = Effect.fnUntraced(function* (duration: Duration.Input) {
  yield* settled
  for (let left = Duration.toMillis(Duration.fromInputUnsafe(duration)); left > 0; left -= 100) {
    yield* TestClock.adjust(Math.min(100, left))
    yield* settled
  }
})
