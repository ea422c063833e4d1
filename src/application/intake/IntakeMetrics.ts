import { counter, register, secondsHistogram } from "../../concurrency/Measure.ts"

/** Orders stored by this process. */
export const ordersCreated = counter("order_api_orders_created_total", "Orders stored")

/** How long a submit took, until after its commit. */
export const createSeconds = secondsHistogram(
  "order_api_create_seconds",
  "Seconds from a submit to its commit"
)

export const registerIntakeMetrics = register(ordersCreated, createSeconds)
