import { DateTime, type Schema } from "effect"
import type { ListedOrder } from "../../../domain/OrderQueries.ts"
import type { DeadLetter } from "../../../domain/DeadLetter.ts"
import type { ReasonCode } from "../../../domain/Failure.ts"
import type { Order, ProcessingOrder } from "../../../domain/Order.ts"
import type { OrderEvent, OrderEventName } from "../../../domain/OrderEvent.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderStatus } from "../../../domain/OrderStatus.ts"

/** A row of `orders` as the driver returns it. */
export interface OrderRow {
  readonly id: OrderId
  readonly status: OrderStatus
  readonly version: number
  readonly retry_count: number
  readonly max_retries: number
  readonly priority: number
  readonly due_at: Date | null
  readonly worker: string | null
  readonly cancel_requested: string | null
  readonly type: string
  /** Empty: none. */
  readonly ordering_key: string
  /** Empty: none. */
  readonly group_name: string
  readonly failure_reason: string | null
  readonly reason_code: ReasonCode | null
  readonly created_at: Date
  readonly updated_at: Date
  readonly discarded_at: Date | null
  readonly correlation_id: string
  readonly payload_version: number
  readonly payload: Schema.JsonObject
  readonly metadata: Record<string, string>
}

/** A row of a list: without the payload, which can be large. */
export type ListedOrderRow = Omit<OrderRow, "payload">

/** A row of `order_events`. */
export interface EventRow {
  readonly version: number
  readonly event: OrderEventName
  readonly from_status: OrderStatus | null
  readonly to_status: OrderStatus
  readonly at: Date
  readonly attempt: number
  readonly worker: string | null
  readonly reason: string | null
  readonly reason_code: ReasonCode | null
  readonly detail: string | null
}

/** A row of `dead_letters`. */
export interface DeadLetterRow {
  readonly order_id: OrderId
  readonly reason: string
  readonly reason_code: ReasonCode
  readonly retry_count: number
  readonly failed_at: Date
  readonly fingerprint: string
}

/** The value of a nullable column. For the status that the row has, a check of the table forbids null. */
const present = <A>(value: A | null, column: string): A => {
  if (value === null) throw new Error(`orders.${column} is null, which a check of the table forbids`)
  return value
}

const time = (date: Date): DateTime.Utc => DateTime.fromDateUnsafe(date)

const stored = (row: OrderRow) => ({
  id: row.id,
  type: row.type,
  orderingKey: row.ordering_key === "" ? null : row.ordering_key,
  group: row.group_name === "" ? null : row.group_name,
  payload: row.payload,
  payloadVersion: row.payload_version,
  priority: row.priority,
  maxRetries: row.max_retries,
  metadata: row.metadata,
  correlationId: row.correlation_id,
  version: row.version,
  retryCount: row.retry_count,
  failureReason: row.failure_reason,
  reasonCode: row.reason_code,
  createdAt: time(row.created_at),
  updatedAt: time(row.updated_at)
})

/** The order that a row holds. Its type depends on its status. */
export const toOrder = (row: OrderRow): Order => {
  switch (row.status) {
    case "PENDING":
      return { ...stored(row), status: row.status, dueAt: time(present(row.due_at, "due_at")) }
    case "PROCESSING":
      return toProcessingOrder(row)
    case "PROCESSED":
      return { ...stored(row), status: row.status }
    case "FAILED":
      return {
        ...stored(row),
        status: row.status,
        discardedAt: row.discarded_at === null ? null : time(row.discarded_at)
      }
  }
}

/** The order that a row of a list holds. */
export const toListedOrder = (row: ListedOrderRow): ListedOrder => {
  const { payload: _, ...order } = toOrder({ ...row, payload: {} })
  return order
}

/** The order in a row that a claim returned. */
export const toProcessingOrder = (row: OrderRow): ProcessingOrder => ({
  ...stored(row),
  status: "PROCESSING",
  dueAt: time(present(row.due_at, "due_at")),
  worker: present(row.worker, "worker"),
  cancelRequested: row.cancel_requested
})

/** The event that a row of the history holds. */
export const toEvent = (row: EventRow): OrderEvent => ({
  at: time(row.at),
  event: row.event,
  from: row.from_status,
  to: row.to_status,
  version: row.version,
  attempt: row.attempt,
  worker: row.worker,
  reason: row.reason,
  reasonCode: row.reason_code,
  detail: row.detail
})

/** The entry of the dead letter queue that a row holds. */
export const toDeadLetter = (row: DeadLetterRow): DeadLetter => ({
  orderId: row.order_id,
  reason: row.reason,
  reasonCode: row.reason_code,
  retryCount: row.retry_count,
  failedAt: time(row.failed_at),
  fingerprint: row.fingerprint
})
