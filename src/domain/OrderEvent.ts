import { DateTime, Schema } from "effect"
import { ReasonCode } from "./Failure.ts"
import { edges, OrderStatus } from "./OrderStatus.ts"

/** The names of events, in the past tense. */
export const OrderEventName = Schema.Literals(
  Object.keys(edges) as [keyof typeof edges, ...Array<keyof typeof edges>]
)
export type OrderEventName = keyof typeof edges

/**
 * One transition in the history of an order. `version` is the order's version after the transition: 1, 2, 3 …
 * without gaps. `attempt` is the number of the attempt, which restarts at 1 after a reprocess. `worker` is
 * the name of the worker that had the lease; null if no worker had it.
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

/** Whether the event ended an attempt, with any outcome. */
export const endsAttempt = (event: OrderEvent): boolean => event.from === "PROCESSING"
