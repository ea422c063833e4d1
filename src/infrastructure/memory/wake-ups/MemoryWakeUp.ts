import { Effect, Layer, Metric, Queue } from "effect"
import * as Metrics from "../../../application/OrderMetrics.ts"
import { type Announcement, WakeUp } from "../../../application/ports/WakeUp.ts"

/** The most announcements waiting; more are dropped, since a worker that wakes up looks for everything anyway. */
const capacity = 1024

/** Announces within one process. Nothing of it survives the process; what is due is found in the table again. */
export const layer = Layer.effect(
  WakeUp,
  Effect.gen(function* () {
    yield* Metrics.presentAnnouncements("memory")
    yield* Effect.acquireRelease(Metric.update(Metrics.listenUp, 1), () => Metric.update(Metrics.listenUp, 0))
    const announcements = yield* Queue.dropping<Announcement>(capacity)
    return WakeUp.of({
      announce: (batch) =>
        Effect.andThen(
          Queue.offerAll(announcements, batch),
          Metrics.count(Metrics.announced, { queue: "memory" }, batch.length)
        ),
      announced: Effect.asVoid(Queue.takeAll(announcements))
    })
  })
)
