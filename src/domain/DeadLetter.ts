import { type DateTime, Schema } from "effect"
import { ReasonCode } from "./Failure.ts"
import { OrderId } from "./OrderId.ts"

/**
 * One entry of the dead letter queue: an order that is FAILED and was neither reprocessed nor discarded has
 * exactly one, every other order none.
 */
export const DeadLetter = Schema.Struct({
  orderId: OrderId,
  reason: Schema.String,
  reasonCode: ReasonCode,
  retryCount: Schema.Int,
  failedAt: Schema.DateTimeUtcFromString
}).annotate({ identifier: "DeadLetter" })
export interface DeadLetter {
  readonly orderId: OrderId
  readonly reason: string
  readonly reasonCode: ReasonCode
  readonly retryCount: number
  readonly failedAt: DateTime.Utc
}
