import { Effect, Random } from "effect"

/** Waits 100 to 500 ms before a retry, at random, so that many processes do not retry at the same moment. */
export const pauseAfterError = Effect.flatMap(Random.nextBetween(100, 500), (millis) => Effect.sleep(millis))
