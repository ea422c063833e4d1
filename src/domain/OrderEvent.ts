import { DateTime, Schema } from "effect"
import { ReasonCode } from "./Failure.ts"
import { edges, OrderStatus } from "./OrderStatus.ts"

/** What happened to an order, in the past tense; one per version. */
export const OrderEventName = Schema.Literals(
  Object.keys(edges) as [keyof typeof edges, ...Array<keyof typeof edges>]
)
export type OrderEventName = keyof typeof edges

/**
 * One transition of one order, as its history keeps it. `version` is the order's after the transition and
 * counts from 1 without gaps. `attempt` is the one the event is about: failed attempts so far + 1, from 1 again
 * after a reprocess. `worker` is the process that held the lease, where there was one.
 */
export const OrderEvent = Schema.Struct({
  at: Schema.DateTimeUtcFromString,
  event: OrderEventName,
  from: Schema.NullOr(OrderStatus),
  to: OrderStatus,
  version: Schema.Int,
  attempt: Schema.Int,
  worker: Schema.NullOr(Schema.String),
  reason: Schema.NullOr(Schema.String),
  reasonCode: Schema.NullOr(ReasonCode),
  detail: Schema.NullOr(Schema.String)
}).annotate({ identifier: "OrderEvent" })
export interface OrderEvent {
  readonly at: DateTime.Utc
  readonly event: OrderEventName
  readonly from: OrderStatus | null
  readonly to: OrderStatus
  readonly version: number
  readonly attempt: number
  readonly worker: string | null
  readonly reason: string | null
  readonly reasonCode: ReasonCode | null
  readonly detail: string | null
}

/** Whether the event ended an attempt, whatever came of it. */
export const endsAttempt = (event: OrderEvent): boolean => event.from === "PROCESSING"
