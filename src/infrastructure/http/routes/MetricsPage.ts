import { Effect } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { registerDeadLetterMetrics } from "../../../application/dead-letters/ReprocessOrder.ts"
import { registerIntakeMetrics } from "../../../application/intake/IntakeMetrics.ts"
import { registerWorkMetrics } from "../../../application/work/WorkMetrics.ts"
import { recordBacklog } from "../../../application/watch/BacklogMetrics.ts"
import type { Backlog } from "../../../application/ports/OrderReads.ts"

/**
 * This process's metrics in Prometheus' text format 0.0.4, with the backlog as it is now, or as it was last read if the
 * store does not answer within two seconds.
 */
export const metricsPage = (backlog: Effect.Effect<Backlog, unknown>): Effect.Effect<string> =>
  Effect.flatMap(backlog, recordBacklog).pipe(
    Effect.timeout("2 seconds"),
    Effect.ignore,
    Effect.andThen(registerIntakeMetrics),
    Effect.andThen(registerWorkMetrics),
    Effect.andThen(registerDeadLetterMetrics),
    Effect.andThen(PrometheusMetrics.format())
  )
