import { Duration, Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import * as Metrics from "../../../application/OrderMetrics.ts"
import type { Backlog } from "../../../application/ports/OrderRepository.ts"

/** The gauges of the whole table are looked up when somebody reads them, and keep their value while it is away. */
const lookUp = (backlog: Effect.Effect<Backlog, unknown>) =>
  backlog.pipe(
    Effect.flatMap(
      Effect.fnUntraced(function* ({ oldestDueAge, pending, processing }) {
        yield* Metric.update(Metric.withAttributes(Metrics.backlog, { status: "PENDING" }), pending)
        yield* Metric.update(Metric.withAttributes(Metrics.backlog, { status: "PROCESSING" }), processing)
        const age = oldestDueAge === null ? 0 : Duration.toSeconds(oldestDueAge)
        yield* Metric.update(Metrics.oldestDueAgeSeconds, age)
      })
    ),
    Effect.timeout("2 seconds"),
    Effect.ignore
  )

/** This process's metrics in Prometheus' text format 0.0.4. */
export const metricsPage = (backlog: Effect.Effect<Backlog, unknown>): Effect.Effect<string> =>
  lookUp(backlog).pipe(Effect.andThen(Metrics.presentAll), Effect.andThen(PrometheusMetrics.format()))
