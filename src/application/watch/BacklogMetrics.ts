import { Duration, Effect, Metric } from "effect"
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
