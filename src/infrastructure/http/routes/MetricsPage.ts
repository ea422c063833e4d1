import { Effect } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { registerDeadLetterMetrics } from "../../../application/dead-letters/ReprocessOrder.ts"
import { registerIntakeMetrics } from "../../../application/intake/IntakeMetrics.ts"
import { registerWorkMetrics } from "../../../application/work/WorkMetrics.ts"
import { recordBacklog, recordControl } from "../../../application/watch/BacklogMetrics.ts"
import type { Backlog } from "../../../application/ports/OrderReads.ts"
import type { Pause } from "../../../domain/Pauses.ts"

/** The figures of the store that are metrics. */
export interface MeasuredStore<E = unknown> {
  readonly backlog: Effect.Effect<Backlog, E>
  readonly pauses: Effect.Effect<ReadonlyArray<Pause>, E>
  readonly typesWithoutWorker: Effect.Effect<ReadonlyArray<string>, E>
}

/**
 * This process's metrics in Prometheus' text format 0.0.4, with the figures of the store as they are now, or as they
 * were last read if the store does not answer within two seconds.
 */
export const metricsPage = ({ backlog, pauses, typesWithoutWorker }: MeasuredStore): Effect.Effect<string> =>
  Effect.flatMap(backlog, recordBacklog).pipe(
    Effect.andThen(Effect.all([pauses, typesWithoutWorker])),
    Effect.flatMap((control) => recordControl(...control)),
    Effect.timeout("2 seconds"),
    Effect.ignore,
    Effect.andThen(registerIntakeMetrics),
    Effect.andThen(registerWorkMetrics),
    Effect.andThen(registerDeadLetterMetrics),
    Effect.andThen(PrometheusMetrics.format())
  )
