import { Duration, Effect, Latch } from "effect"

/** The pause between two counts of the due orders, and the minimum pause between two other counts. */
export const samplingInterval = Duration.seconds(1)

/**
 * Counting ten million orders takes a second or more, so the pause before the next count is 20 times as long
 * as the count, but at most this long.
 */
const longestInterval = Duration.minutes(1)

/** The pause after a count that took this long. */
export const pauseAfterCounting = (took: Duration.Duration) =>
  Duration.clamp(Duration.times(took, 20), { minimum: samplingInterval, maximum: longestInterval })

/**
 * Runs `sample` in the background after each `sampleSoon`, and again as long as it returns true, with a pause after
 * each run.
 */
export const makeSampling = Effect.fnUntraced(function* (
  sample: Effect.Effect<boolean>,
  pauseAfter: (took: Duration.Duration) => Duration.Duration
) {
  const due = Latch.makeUnsafe(false)
  yield* due.await.pipe(
    Effect.andThen(due.close),
    Effect.andThen(Effect.timed(sample)),
    Effect.flatMap(([took, again]) =>
      Effect.andThen(Effect.sleep(pauseAfter(took)), again ? due.open : Effect.void)
    ),
    Effect.forever,
    Effect.forkScoped
  )
  return { sampleSoon: () => due.openUnsafe() }
})
