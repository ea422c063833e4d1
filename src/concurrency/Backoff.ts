import { Effect, Random } from "effect"

/** 100 to 500 ms between an error and the next try, at random, so that many processes do not retry at the same moment. */
export const pauseBeforeRetry = Effect.flatMap(Random.nextBetween(100, 500), (millis) => Effect.sleep(millis))
