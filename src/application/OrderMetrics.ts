import { Clock, Context, DateTime, Effect, Metric } from "effect"
import { ReasonCode } from "../domain/Failure.ts"
import type { Order, ProcessingOrder } from "../domain/Order.ts"

/** Seconds, from a millisecond to five minutes. */
const seconds = Metric.boundariesFromIterable([
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300
])
const counter = (name: string, description: string) =>
  Metric.counter(name, { description, incremental: true })
const histogram = (name: string, description: string) =>
  Metric.histogram(name, { description, boundaries: seconds })

/** Orders stored by this process. */
export const ordersCreated = counter("order_api_orders_created_total", "Orders stored")
/** How long a submit took, until after its commit. */
export const createSeconds = histogram("order_api_create_seconds", "Seconds from a submit to its commit")
/** Attempts settled by this process, by what came of them. */
export const attempts = counter("order_worker_attempts_total", "Attempts settled, by outcome")
/** Results dropped because their order had been taken away. */
export const staleSettles = counter("order_worker_stale_settles_total", "Results of lost leases, dropped")
/** Orders taken away from lost workers by this process. */
export const leasesExpired = counter("order_worker_leases_expired_total", "Leases that ran out")
/** How long attempts ran. */
export const processingSeconds = histogram("order_worker_processing_seconds", "Seconds an attempt ran")
/** How long orders waited for a worker after they became due. */
export const waitSeconds = histogram("order_wait_seconds", "Seconds from due to started")
/** How long orders took in all. */
export const endToEndSeconds = histogram(
  "order_end_to_end_seconds",
  "Seconds from created to PROCESSED or FAILED"
)
/** Entries added to the dead letter queue by this process. */
export const deadLetterEntries = counter(
  "order_dlq_entries_total",
  "Entries added to the DLQ, by reason code"
)
/** Orders reprocessed by this process. */
export const deadLettersReprocessed = counter(
  "order_dlq_reprocessed_total",
  "Orders taken out of the DLQ to run again"
)
/** Announcements made by this process. */
export const announced = counter("order_queue_announced_total", "Orders announced")
/** Announcements that failed; their orders are found by the next poll. */
export const announceFailed = counter("order_queue_announce_failed_total", "Orders whose announcement failed")
/** Whether this process listens for announcements of others. */
export const listenUp = Metric.gauge("order_queue_listen_up", {
  description: "1 while announcements are heard"
})
/** Orders started and not settled by this process. */
export const inFlight = Metric.gauge("order_worker_in_flight", {
  description: "Orders started and not settled"
})
/** Attempts that this process can run at the same time. */
export const capacity = Metric.gauge("order_worker_capacity", {
  description: "Attempts possible at the same time"
})
/** Orders that are not final, by status. */
export const backlog = Metric.gauge("order_backlog", { description: "Orders that are not final, by status" })
/** How long the order that has been due longest has waited. */
export const oldestDueAgeSeconds = Metric.gauge("order_oldest_due_age_seconds", {
  description: "Seconds that the order due longest has waited"
})

const each = <Input, State>(
  metric: Metric.Metric<Input, State>,
  label: string,
  values: ReadonlyArray<string>
): ReadonlyArray<Metric.Metric<Input, State>> =>
  values.map((value) => Metric.withAttributes(metric, { [label]: value }))

/**
 * A counter that has counted nothing is 0 and not absent, so that an alert on its increase works from the start: the
 * same for each outcome and each reason code.
 */
export const presentAll: Effect.Effect<void> = Effect.forEach(
  [
    ordersCreated,
    staleSettles,
    leasesExpired,
    deadLettersReprocessed,
    ...each(attempts, "outcome", ["completed", "retried", "failed", "released", "snoozed"]),
    ...each(deadLetterEntries, "reason_code", ReasonCode.literals)
  ],
  (metric) => Metric.update(metric, 0),
  { discard: true }
).pipe(
  // A histogram would count a 0; to be asked for its value is enough to be there.
  Effect.andThen(
    Effect.forEach([createSeconds, processingSeconds, waitSeconds, endToEndSeconds], Metric.value, {
      discard: true
    })
  )
)

/** The same for the announcements by one kind of queue. */
export const presentAnnouncements = (queue: string) =>
  Effect.forEach(
    [announced, announceFailed],
    (metric) => Metric.update(Metric.withAttributes(metric, { queue }), 0),
    { discard: true }
  )

/** Counts one of a kind. */
export const count = (metric: Metric.Counter<number>, attributes: Metric.Metric.Attributes, by = 1) =>
  Metric.update(Metric.withAttributes(metric, attributes), by)

// One effect a batch, and not one an order.
const updateAll = (metric: Metric.Histogram<number>, values: ReadonlyArray<number>): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      for (const value of values) metric.updateUnsafe(value, context)
    })
  )

/** Notes how long started orders had been due. */
export const noteStarted = (orders: ReadonlyArray<ProcessingOrder>): Effect.Effect<void> =>
  updateAll(
    waitSeconds,
    orders.map(({ dueAt, updatedAt }) => secondsBetween(dueAt, updatedAt))
  )

/** Notes that orders that were created at these times are final now. */
export const noteFinal = (createdAt: ReadonlyArray<DateTime.Utc>): Effect.Effect<void> =>
  Effect.flatMap(DateTime.now, (now) =>
    updateAll(
      endToEndSeconds,
      createdAt.map((created) => secondsBetween(created, now))
    )
  )

/** Notes an order that a lost worker gave up. */
export const noteExpired = Effect.fnUntraced(function* (order: Order) {
  yield* Metric.update(leasesExpired, 1)
  if (order.status !== "FAILED") return
  yield* count(deadLetterEntries, { reason_code: "WORKER_LOST" })
  yield* noteFinal([order.createdAt])
})

/** Measures how long an effect takes, whatever comes of it. */
export const timed =
  (metric: Metric.Histogram<number>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.contextWith((context: Context.Context<R>) => {
      const clock = Context.get(context, Clock.Clock)
      const start = clock.monotonicTimeNanosUnsafe()
      return Effect.onExit(effect, () => {
        metric.updateUnsafe(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9, context)
        return Effect.void
      })
    })

const secondsBetween = (from: DateTime.Utc, to: DateTime.Utc): number =>
  Math.max(0, DateTime.toEpochMillis(to) - DateTime.toEpochMillis(from)) / 1000
