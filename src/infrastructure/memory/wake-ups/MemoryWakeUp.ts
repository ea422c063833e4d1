import { Effect, Layer, Metric } from "effect"
import * as Metrics from "../../../application/ports/WakeUpMetrics.ts"
import { increment } from "../../../concurrency/Measure.ts"
import { makeSignal } from "../../../concurrency/Signal.ts"
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
    // One pending announcement is enough, because a worker that wakes up claims until no due order is left. An
    // announcement reaches every worker, because a cancel concerns the worker that runs the order.
    const announced = makeSignal()
    return WakeUp.of({
      announce: (count) =>
        count === 0
          ? Effect.void
          : Effect.andThen(
              Effect.sync(announced.send),
              increment(Metrics.announced, { queue: "memory" }, count)
            ),
      awaitAnnouncement: announced.await
    })
  })
)
