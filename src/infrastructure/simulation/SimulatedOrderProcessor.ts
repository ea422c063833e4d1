import { Duration, Effect, Layer, Random } from "effect"
import { OrderProcessor, RetryableFailure } from "../../application/ports/OrderProcessor.ts"
import type { OrderType } from "../../domain/OrderType.ts"

/** The duration of a simulated attempt and its probability of failure (0 to 1). */
export interface Simulation {
  readonly processingDelay: Duration.Duration
  readonly failureProbability: number
  /** The same seed gives the same sequence of successes and failures. Without a seed the sequence is random. */
  readonly failureSeed?: string
}

/** A processor that waits, then succeeds, or fails at random with the reason code SIMULATED. */
export const layer = <N extends string, P>(
  type: OrderType<N, P>,
  simulation: Simulation
): Layer.Layer<OrderProcessor<N, P>> => {
  const { failureProbability, failureSeed, processingDelay } = simulation
  return Layer.unwrap(
    Effect.gen(function* () {
      // Seeded once, because a generator seeded for each attempt would give every attempt the same number.
      const random = yield* failureSeed === undefined
        ? Random.Random
        : Random.withSeed(Random.Random, failureSeed)
      return OrderProcessor.layer(type, ({ attempt }) =>
        Effect.suspend(() => {
          const fails = random.nextDoubleUnsafe() < failureProbability
          const outcome = fails
            ? new RetryableFailure({
                reason: `simulated failure of attempt ${attempt}`,
                reasonCode: "SIMULATED"
              })
            : Effect.void
          return Duration.toMillis(processingDelay) > 0
            ? Effect.andThen(Effect.sleep(processingDelay), outcome)
            : outcome
        })
      )
    })
  )
}
