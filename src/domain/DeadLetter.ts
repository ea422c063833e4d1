import { type DateTime, Schema } from "effect"
import { ReasonCode } from "./Failure.ts"
import { OrderId } from "./OrderId.ts"

/** An entry of the dead letter queue. An order has exactly one while it is FAILED and not discarded, otherwise none. */
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
