import { type DateTime, Schema } from "effect"
import { ReasonCode } from "./Failure.ts"
import { Fingerprint } from "./FailureGroup.ts"
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
  failedAt: Schema.DateTimeUtcFromString,
  fingerprint: Fingerprint.annotate({ description: "The failure group of the entry." })
}).annotate({ identifier: "DeadLetter" })
export interface DeadLetter {
  readonly orderId: OrderId
  readonly reason: string
  readonly reasonCode: ReasonCode
  readonly retryCount: number
  readonly failedAt: DateTime.Utc
  /** The failure group of the entry. */
  readonly fingerprint: string
}

/**
 * The dead letter that a transition adds, without its failure group, which the store determines; null unless the
 * transition ends an attempt in FAILED. In PostgreSQL the dead letter is written by the functions that end an attempt,
 * settle and expire (postgres/functions/AddDeadLetters.ts).
 */
export const deadLetterOf = ({ event, order }: Transition<Order>): Omit<DeadLetter, "fingerprint"> | null =>
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
