import { DateTime, type Duration, type Schema } from "effect"
import type { DeadLetter } from "./DeadLetter.ts"
import { type Failure, failure } from "./Failure.ts"
import type { OrderEvent, OrderEventName } from "./OrderEvent.ts"
import type { OrderId } from "./OrderId.ts"

// Longer than 150 lines because the whole state machine is read in one place.

/** What a submitter asks for, complete: every default is resolved and goes into the stored order. */
export interface NewOrder {
  readonly id: OrderId
  /** As JSON, encoded by the payload's schema; `{}` where none was given. */
  readonly payload: Schema.JsonObject
  /** The version of the payload's schema that encoded it. */
  readonly payloadVersion: number
  /** 0 to 9, higher first. */
  readonly priority: number
  /** Failed attempts until FAILED; 0 means 1. */
  readonly maxRetries: number
  readonly metadata: Readonly<Record<string, string>>
  readonly correlationId: string
  /** Due not before this time; null or past means at once. */
  readonly notBefore: DateTime.Utc | null
}

/** How many orders may be submitted together. */
export const maxSubmissions = 1000

interface Stored extends Omit<NewOrder, "notBefore"> {
  /** Counts transitions from 1: fencing token of a settle and ETag of the order. */
  readonly version: number
  /** Failed attempts since the submit or the last reprocess. */
  readonly retryCount: number
  /** The last failure; null until there is one and after a reprocess, kept when PROCESSED. */
  readonly failureReason: string | null
  readonly createdAt: DateTime.Utc
  readonly updatedAt: DateTime.Utc
}

/** Waits to be started, not before `dueAt`. */
export interface PendingOrder extends Stored {
  readonly status: "PENDING"
  readonly dueAt: DateTime.Utc
}
/** An attempt is running in `worker`, which holds it until `leaseUntil` unless it renews. */
export interface ProcessingOrder extends Stored {
  readonly status: "PROCESSING"
  readonly dueAt: DateTime.Utc
  readonly worker: string
  readonly leaseUntil: DateTime.Utc
}
/** What a worker must know of an order it started, to settle it: `version` fences the settle. */
export type Lease = Pick<
  ProcessingOrder,
  "id" | "version" | "retryCount" | "worker" | "updatedAt" | "leaseUntil"
>

/** Done. */
export interface ProcessedOrder extends Stored {
  readonly status: "PROCESSED"
}
/** Out of retries or failed for good; in the dead letter queue unless discarded. */
export interface FailedOrder extends Stored {
  readonly status: "FAILED"
  readonly discardedAt: DateTime.Utc | null
}
/** An order in one of its four states. */
export type Order = PendingOrder | ProcessingOrder | ProcessedOrder | FailedOrder

/** The order after a transition, and the event that its history gains; both are stored together or neither. */
export interface Transition<To extends Order> {
  readonly order: To
  readonly event: OrderEvent
}

/** What came of one attempt, decided: everything a settle has to write but the time. */
export type Outcome =
  | { readonly event: "completed" }
  | { readonly event: "retried"; readonly failure: Failure; readonly delay: Duration.Duration }
  | { readonly event: "failed"; readonly failure: Failure }
  | { readonly event: "released"; readonly detail: string }
  | { readonly event: "snoozed"; readonly delay: Duration.Duration; readonly detail: string | null }

/** The attempt that an order is in, or would be in if it were started now: failed attempts so far + 1. */
export const attemptOf = (order: Pick<Order, "retryCount">): number => order.retryCount + 1

/** Whether one more failed attempt is the last one. `maxRetries` 0 and 1 both mean a single attempt. */
export const isLastAttempt = (order: Order): boolean => attemptOf(order) >= Math.max(1, order.maxRetries)

const event = (
  name: OrderEventName,
  from: Order | null,
  to: Order,
  attempt: number,
  more: Partial<Pick<OrderEvent, "worker" | "reason" | "reasonCode" | "detail">> = {}
): OrderEvent => ({
  at: to.updatedAt,
  event: name,
  from: from?.status ?? null,
  to: to.status,
  version: to.version,
  attempt,
  worker: null,
  reason: null,
  reasonCode: null,
  detail: null,
  ...more
})

const stored = (order: Order, at: DateTime.Utc): Stored => ({
  id: order.id,
  payload: order.payload,
  payloadVersion: order.payloadVersion,
  priority: order.priority,
  maxRetries: order.maxRetries,
  metadata: order.metadata,
  correlationId: order.correlationId,
  retryCount: order.retryCount,
  failureReason: order.failureReason,
  createdAt: order.createdAt,
  updatedAt: at,
  version: order.version + 1
})

/** - → PENDING, version 1, due at once or at `notBefore`. */
export const submit = ({ notBefore, ...order }: NewOrder, at: DateTime.Utc): Transition<PendingOrder> => {
  const dueAt = notBefore === null ? at : DateTime.max(notBefore, at)
  const to: PendingOrder = {
    ...order,
    status: "PENDING",
    version: 1,
    retryCount: 0,
    failureReason: null,
    createdAt: at,
    updatedAt: at,
    dueAt
  }
  return { order: to, event: event("created", null, to, attemptOf(to)) }
}

/** Whether the order may be started at this time. */
export const isDue = (order: PendingOrder, at: DateTime.Utc): boolean =>
  DateTime.isLessThanOrEqualTo(order.dueAt, at)

/** PENDING → PROCESSING: the worker holds the order until its lease ends. Only for a due order. */
export const start = (
  order: PendingOrder,
  worker: string,
  lease: Duration.Duration,
  at: DateTime.Utc
): Transition<ProcessingOrder> => {
  const leaseUntil = DateTime.addDuration(at, lease)
  const to: ProcessingOrder = {
    ...stored(order, at),
    status: "PROCESSING",
    dueAt: order.dueAt,
    worker,
    leaseUntil
  }
  return { order: to, event: event("started", order, to, attemptOf(to), { worker }) }
}

/**
 * PROCESSING → PROCESSED, PENDING or FAILED, as the attempt's outcome says. A failure counts, a release and a
 * snooze do not; a released order is due at once.
 */
export const settle = (order: ProcessingOrder, outcome: Outcome, at: DateTime.Utc): Transition<Order> => {
  const about = { worker: order.worker }
  switch (outcome.event) {
    case "completed": {
      const to: ProcessedOrder = { ...stored(order, at), status: "PROCESSED" }
      return { order: to, event: event("completed", order, to, attemptOf(order), about) }
    }
    case "released": {
      const to: PendingOrder = { ...stored(order, at), status: "PENDING", dueAt: order.dueAt }
      const { detail } = outcome
      return { order: to, event: event("released", order, to, attemptOf(order), { ...about, detail }) }
    }
    case "snoozed": {
      const dueAt = DateTime.addDuration(at, outcome.delay)
      const to: PendingOrder = { ...stored(order, at), status: "PENDING", dueAt }
      const { detail } = outcome
      return { order: to, event: event("snoozed", order, to, attemptOf(order), { ...about, detail }) }
    }
    case "retried":
      return countFailure("retried", order, outcome.failure, at, outcome.delay)
    case "failed":
      return countFailure("failed", order, outcome.failure, at, null)
  }
}

const countFailure = (
  name: "retried" | "failed" | "expired",
  order: ProcessingOrder,
  failure: Failure,
  at: DateTime.Utc,
  retryIn: Duration.Input | null
): Transition<PendingOrder | FailedOrder> => {
  const base = { ...stored(order, at), retryCount: order.retryCount + 1, failureReason: failure.reason }
  const to: PendingOrder | FailedOrder =
    retryIn === null
      ? { ...base, status: "FAILED", discardedAt: null }
      : { ...base, status: "PENDING", dueAt: DateTime.addDuration(at, retryIn) }
  return { order: to, event: event(name, order, to, attemptOf(order), { worker: order.worker, ...failure }) }
}

/** The failure that a lost lease counts as. */
export const workerLost = failure(
  "WORKER_LOST",
  "The worker was lost: its lease ran out before the attempt ended."
)

/** PROCESSING → PENDING, due at once, or FAILED: the lease ran out, which counts as a failed attempt. */
export const expire = (order: ProcessingOrder, at: DateTime.Utc): Transition<PendingOrder | FailedOrder> =>
  countFailure("expired", order, workerLost, at, isLastAttempt(order) ? null : 0)

/** FAILED → PENDING with a clean slate, due at once. Only for an order that is not discarded. */
export const reprocess = (order: FailedOrder, at: DateTime.Utc): Transition<PendingOrder> => {
  const base = { ...stored(order, at), retryCount: 0, failureReason: null }
  const to: PendingOrder = { ...base, status: "PENDING", dueAt: at }
  return { order: to, event: event("reprocessed", order, to, attemptOf(to)) }
}

/** FAILED → FAILED: out of the dead letter queue for good. `reason` is the operator's, kept in the event. */
export const discard = (
  order: FailedOrder,
  reason: string | null,
  at: DateTime.Utc
): Transition<FailedOrder> => {
  const to: FailedOrder = { ...stored(order, at), status: "FAILED", discardedAt: at }
  return { order: to, event: event("discarded", order, to, order.retryCount, { reason }) }
}

/** The entry that a transition adds to the dead letter queue; null when it ends anywhere but FAILED. */
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
