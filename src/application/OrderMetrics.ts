import { Context, DateTime, Effect, Metric } from "effect"
import { counter, increment, register, secondsHistogram, withLabel } from "../concurrency/Measure.ts"
import { ReasonCode } from "../domain/Failure.ts"
import type { Order, ProcessingOrder } from "../domain/Order.ts"

/** Attempts settled by this process, by what came of them. */
export const attempts = counter("order_worker_attempts_total", "Attempts settled, by outcome")
/** Results dropped because their order had been taken away. */
export const staleSettles = counter("order_worker_stale_settles_total", "Results of lost leases, dropped")
/** Orders taken away from lost workers by this process. */
export const leasesExpired = counter("order_worker_leases_expired_total", "Leases that ran out")
/** How long attempts ran. */
export const processingSeconds = secondsHistogram("order_worker_processing_seconds", "Seconds an attempt ran")
/** How long orders waited for a worker after they became due. */
export const waitSeconds = secondsHistogram("order_wait_seconds", "Seconds from due to started")
/** How long orders took in all. */
export const endToEndSeconds = secondsHistogram(
  "order_end_to_end_seconds",
  "Seconds from created to PROCESSED or FAILED"
)
/** Entries added to the dead letter queue by this process. */
export const deadLetterEntries = counter(
  "order_dlq_entries_total",
  "Entries added to the DLQ, by reason code"
)
/** Orders started and not settled by this process. */
export const inFlight = Metric.gauge("order_worker_in_flight", {
  description: "Orders started and not settled"
})
/** Attempts that this process can run at the same time. */
export const capacity = Metric.gauge("order_worker_capacity", {
  description: "Attempts possible at the same time"
})

export const registerWorkMetrics = register(
  staleSettles,
  leasesExpired,
  processingSeconds,
  waitSeconds,
  endToEndSeconds,
  ...withLabel(attempts, "outcome", ["completed", "retried", "failed", "released", "snoozed"]),
  ...withLabel(deadLetterEntries, "reason_code", ReasonCode.literals)
)

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
  yield* increment(deadLetterEntries, { reason_code: "WORKER_LOST" })
  yield* noteFinal([order.createdAt])
})

const secondsBetween = (from: DateTime.Utc, to: DateTime.Utc): number =>
  Math.max(0, DateTime.toEpochMillis(to) - DateTime.toEpochMillis(from)) / 1000
