import { type DateTime, Schema } from "effect"
import { ReasonCode } from "./Failure.ts"
import type { Order } from "./Order.ts"
import { OrderId } from "./OrderId.ts"
import type { Transition } from "./OrderTransitions.ts"

/**
 * An entry of the dead letter queue. An order has exactly one entry while it is FAILED and not discarded, and
 * otherwise no entry.
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

/**
 * The dead letter that a transition adds; null unless the transition ends an attempt in FAILED. In PostgreSQL
 * the dead letter is written by the statements that end an attempt: settle
 * (postgres/functions/SettleOrders.ts) and expire (postgres/work/ExpireLeases.ts).
 */
export const deadLetterOf = ({ event, order }: Transition<Order>): DeadLetter | null =>
  order.status === "FAILED" &&
  order.discardedAt === null &&
  event.reason !== null &&
  event.reasonCode !== null
    ? {
        orderId: order.id,
        reason: event.reason,
        reasonCode: event.reasonCode,
        retryCount: order.retryCount,
        failedAt: event.at
      }
    : null
