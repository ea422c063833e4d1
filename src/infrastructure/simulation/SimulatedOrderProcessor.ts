import { Duration, Effect, Layer, Random } from "effect"
import { OrderProcessor, RetryableFailure } from "../../application/ports/OrderProcessor.ts"
import type { OrderPayload } from "../../domain/OrderPayload.ts"

/** What the simulated work does: how long it takes, and how often it fails (0 to 1). */
export interface Simulation {
  readonly processingDelay: Duration.Duration
  readonly failureProbability: number
  /** The same seed gives the same sequence of successes and failures; none gives another each time. */
  readonly failureSeed?: string
}

/** A processor that only waits, and fails at random with the reason code SIMULATED. */
export const layer = <P>(
  payload: OrderPayload<P>,
  simulation: Simulation
): Layer.Layer<OrderProcessor<P>> => {
  const { failureProbability, failureSeed, processingDelay } = simulation
  return Layer.unwrap(
    Effect.gen(function* () {
      // Seeded once: a generator seeded anew for each attempt would give each attempt the same number.
      const random = yield* failureSeed === undefined
        ? Random.Random
        : Random.withSeed(Random.Random, failureSeed)
      return OrderProcessor.layer(payload, ({ attempt }) =>
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
