import { Duration, Effect, Metric } from "effect"
import { coversAll, type Pause } from "../../domain/Pauses.ts"
import type { Backlog } from "../ports/OrderReads.ts"

/** Orders that are not final, by status. */
const backlogOrders = Metric.gauge("order_backlog", { description: "Orders that are not final, by status" })

/** How long the oldest due order has waited since it became due. */
const oldestDueAgeSeconds = Metric.gauge("order_oldest_due_age_seconds", {
  description: "Seconds since the oldest due order became due"
})

/** Sets the gauges of the backlog. The gauges keep their values while the backlog cannot be read. */
export const recordBacklog = Effect.fnUntraced(function* ({ oldestDueAge, pending, processing }: Backlog) {
  yield* Metric.update(Metric.withAttributes(backlogOrders, { status: "PENDING" }), pending)
  yield* Metric.update(Metric.withAttributes(backlogOrders, { status: "PROCESSING" }), processing)
  yield* Metric.update(oldestDueAgeSeconds, oldestDueAge === null ? 0 : Duration.toSeconds(oldestDueAge))
})

/** Whether every order is paused. */
const isPaused = Metric.gauge("order_worker_paused", {
  description: "1 while all orders are paused, else 0; a pause of a type or a group does not count"
})

/** The number of types of due orders that no worker takes. */
const typesWithoutWorkerCount = Metric.gauge("order_types_without_worker", {
  description: "Types of due orders that no worker takes"
})

/** Sets the gauges of pauses and of types without a worker. */
export const recordControl = Effect.fnUntraced(function* (
  pauses: ReadonlyArray<Pause>,
  typesWithoutWorker: ReadonlyArray<string>
) {
  const paused = pauses.some(coversAll)
  yield* Metric.update(isPaused, paused ? 1 : 0)
  yield* Metric.update(typesWithoutWorkerCount, typesWithoutWorker.length)
})
