import { DateTime, type Duration, type Schema } from "effect"
import type { Failure, ReasonCode } from "./Failure.ts"
import type { OrderId } from "./OrderId.ts"

/** A new order with every default resolved, as it is stored. */
export interface NewOrder {
  readonly id: OrderId
  /** What kind of work the order is; decides which workers may process it. */
  readonly type: string
  /**
   * Orders of the same type and ordering key run one at a time, in the order in which they were submitted; null for
   * an order that need not wait for others.
   */
  readonly orderingKey: string | null
  /** The group whose limits apply and that takes turns with other groups; null for none. */
  readonly group: string | null
  /** JSON, encoded by the payload's schema; `{}` if none was given. */
  readonly payload: Schema.JsonObject
  /** The version of the schema that encoded the payload. */
  readonly payloadVersion: number
  /** 0 to 9, higher first. */
  readonly priority: number
  /** The number of failed attempts after which the order becomes FAILED; 0 is treated as 1. */
  readonly maxRetries: number
  readonly metadata: Readonly<Record<string, string>>
  readonly correlationId: string
  /** The order is not due before this time; null or a time in the past means at once. */
  readonly notBefore: DateTime.Utc | null
}

/** How many orders may be submitted together. */
export const maxSubmissions = 1000

interface Stored extends Omit<NewOrder, "notBefore"> {
  /** Counts transitions from 1. It is the fencing token of a settle and the ETag of the order. */
  readonly version: number
  /** Failed attempts since the submit or the last reprocess. */
  readonly retryCount: number
  /** The last failure. Null before the first failure and after a reprocess; kept when PROCESSED. */
  readonly failureReason: string | null
  /** The code of the last failure; null exactly if `failureReason` is. */
  readonly reasonCode: ReasonCode | null
  readonly createdAt: DateTime.Utc
  readonly updatedAt: DateTime.Utc
}

/** Waits to be started, at `dueAt` or later. */
export interface PendingOrder extends Stored {
  readonly status: "PENDING"
  readonly dueAt: DateTime.Utc
}

/** `worker` runs an attempt, and holds the order as long as it renews its lease. */
export interface ProcessingOrder extends Stored {
  readonly status: "PROCESSING"
  readonly dueAt: DateTime.Utc
  readonly worker: string
  /**
   * The reason of a requested cancel; null if none was requested. An order with a requested cancel is cancelled unless
   * its attempt completes.
   */
  readonly cancelRequested: string | null
}

/** What a worker needs to settle an order that it started. `version` is the fencing token of the settle. */
export type HeldOrder = Pick<
  ProcessingOrder,
  "id" | "version" | "retryCount" | "worker" | "updatedAt" | "cancelRequested"
>

/** Completed. */
export interface ProcessedOrder extends Stored {
  readonly status: "PROCESSED"
}

/** Failed permanently. It is in the dead letter queue unless it was discarded. */
export interface FailedOrder extends Stored {
  readonly status: "FAILED"
  readonly discardedAt: DateTime.Utc | null
}

/** An order in one of its four states. `OrderTransitions.ts` has the edges between them. */
export type Order = PendingOrder | ProcessingOrder | ProcessedOrder | FailedOrder

/** The result of one attempt: all that a settle writes, except the time. */
export type Outcome =
  | { readonly event: "completed" }
  | { readonly event: "retried"; readonly failure: Failure; readonly delay: Duration.Duration }
  | { readonly event: "failed"; readonly failure: Failure }
  | { readonly event: "released"; readonly detail: string }
  | { readonly event: "snoozed"; readonly delay: Duration.Duration; readonly detail: string | null }
  /** The attempt was interrupted because a cancel was requested; the reason is that of the request. */
  | { readonly event: "cancelled" }

/** The number of the order's current attempt, or of its next one: failed attempts so far + 1. */
export const attemptOf = (order: Pick<Order, "retryCount">): number => order.retryCount + 1

/**
 * Whether the order becomes FAILED if its current or next attempt fails. `maxRetries` 0 and 1 both mean one attempt.
 */
export const isLastAttempt = (order: Order): boolean => attemptOf(order) >= Math.max(1, order.maxRetries)

/** Whether the order became FAILED by a cancel. */
export const isCancelled = (order: Order): boolean =>
  order.status === "FAILED" && order.reasonCode === "CANCELLED"

/** Whether the order may be started at this time. */
export const isDue = (order: PendingOrder, at: DateTime.Utc): boolean =>
  DateTime.isLessThanOrEqualTo(order.dueAt, at)
