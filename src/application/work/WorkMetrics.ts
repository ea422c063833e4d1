import { Context, DateTime, Effect, Metric } from "effect"
import { counter, increment, register, secondsHistogram, withLabel } from "../../concurrency/Measure.ts"
import { ReasonCode } from "../../domain/Failure.ts"
import type { Order, ProcessingOrder } from "../../domain/Order.ts"
import { defaultType } from "../../domain/TypeSettings.ts"

/** Attempts settled by this process, by outcome. */
export const attempts = counter("order_worker_attempts_total", "Attempts settled, by outcome")

/** Outcomes that were dropped because the worker had lost the lease of the order. */
export const staleSettles = counter(
  "order_worker_stale_settles_total",
  "Outcomes dropped because the lease was lost"
)

/** Orders of lost workers that this process expired. */
const leasesExpired = counter("order_worker_leases_expired_total", "Orders whose worker's lease expired")

/** How long attempts ran. */
export const processingSeconds = secondsHistogram("order_worker_processing_seconds", "Seconds an attempt ran")

/** How long orders waited from due to started. */
const waitSeconds = secondsHistogram("order_wait_seconds", "Seconds from due to started")

/** How long orders took from created to final. */
const endToEndSeconds = secondsHistogram(
  "order_end_to_end_seconds",
  "Seconds from created to PROCESSED or FAILED"
)

/** Entries that this process added to the dead letter queue, by reason code. */
export const deadLetterEntries = counter(
  "order_dlq_entries_total",
  "Entries added to the DLQ, by reason code"
)

/** Orders that this process started and has not settled. */
export const inFlight = Metric.gauge("order_worker_in_flight", {
  description: "Orders started and not settled"
})

/** The maximum number of concurrent attempts in this process. */
export const capacity = Metric.gauge("order_worker_capacity", {
  description: "Maximum number of concurrent attempts"
})

/** Whether the circuit breaker of a type is open in this process. */
export const breakerOpen = Metric.gauge("order_worker_breaker_open", {
  description: "1 while the circuit breaker of the type is open in this process"
})

export const registerWorkMetrics = register(
  staleSettles,
  leasesExpired,
  processingSeconds,
  waitSeconds,
  endToEndSeconds,
  ...withLabel(breakerOpen, "type", [defaultType]),
  ...withLabel(attempts, "outcome", ["completed", "retried", "failed", "released", "snoozed", "cancelled"]),
  ...withLabel(deadLetterEntries, "reason_code", ReasonCode.literals)
)

/** Records how long started orders had been due. */
export const recordStarted = (orders: ReadonlyArray<ProcessingOrder>): Effect.Effect<void> =>
  recordAll(
    waitSeconds,
    orders.map(({ dueAt, updatedAt }) => secondsBetween(dueAt, updatedAt))
  )

/** Records that orders created at these times are final now. */
export const recordFinal = (createdAt: ReadonlyArray<DateTime.Utc>): Effect.Effect<void> =>
  Effect.flatMap(DateTime.now, (now) =>
    recordAll(
      endToEndSeconds,
      createdAt.map((created) => secondsBetween(created, now))
    )
  )

/** Records an order whose lease was expired, and its dead letter if it has one. A cancelled order has none. */
export const recordExpired = Effect.fnUntraced(function* (order: Order) {
  yield* Metric.update(leasesExpired, 1)
  if (order.status !== "FAILED") return
  if (order.discardedAt === null) yield* increment(deadLetterEntries, { reason_code: "WORKER_LOST" })
  yield* recordFinal([order.createdAt])
})

// One effect for all values instead of one for each value.
const recordAll = (metric: Metric.Histogram<number>, values: ReadonlyArray<number>): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      for (const value of values) metric.updateUnsafe(value, context)
    })
  )

const secondsBetween = (from: DateTime.Utc, to: DateTime.Utc): number =>
  Math.max(0, DateTime.toEpochMillis(to) - DateTime.toEpochMillis(from)) / 1000
