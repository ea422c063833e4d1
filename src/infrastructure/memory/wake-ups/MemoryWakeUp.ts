import { Effect, Layer, Metric, Queue } from "effect"
import * as Metrics from "../../../application/ports/WakeUpMetrics.ts"
import { increment } from "../../../concurrency/Measure.ts"
import { WakeUp } from "../../../application/ports/WakeUp.ts"

/**
 * Wakes workers of the same process. An announcement is lost if the process ends. If the orders are stored in
 * a database, the next process finds the due ones by polling.
 */
export const layer = Layer.effect(
  WakeUp,
  Effect.gen(function* () {
    yield* Metrics.registerAnnouncements("memory")
    yield* Effect.acquireRelease(Metric.update(Metrics.listenUp, 1), () => Metric.update(Metrics.listenUp, 0))
    // One pending announcement is enough, because a worker that wakes up claims until no due order is left.
    const announced = yield* Queue.sliding<void>(1)
    return WakeUp.of({
      announce: (count) =>
        count === 0
          ? Effect.void
          : Effect.andThen(
              Queue.offer(announced, undefined),
              increment(Metrics.announced, { queue: "memory" }, count)
            ),
      awaitAnnouncement: Queue.take(announced)
    })
  })
)
