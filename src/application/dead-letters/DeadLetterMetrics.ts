import { counter, register } from "../../concurrency/Measure.ts"

/** Orders reprocessed by this process. */
export const deadLettersReprocessed = counter(
  "order_dlq_reprocessed_total",
  "Orders reprocessed from the DLQ"
)

export const registerDeadLetterMetrics = register(deadLettersReprocessed)
