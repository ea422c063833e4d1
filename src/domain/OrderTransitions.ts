import { DateTime, type Duration } from "effect"
import { defaultCancelReason, type Failure, failure, workerLost } from "./Failure.ts"
import {
  attemptOf,
  type FailedOrder,
  isLastAttempt,
  type NewOrder,
  type Order,
  type Outcome,
  type PendingOrder,
  type ProcessedOrder,
  type ProcessingOrder
} from "./Order.ts"
import type { OrderEvent, OrderEventName } from "./OrderEvent.ts"

// The edges between the four states, as pure functions. They are the specification, and the memory store runs
// them. The PostgreSQL store does not run them: its statements for claim, settle, expire, reprocess and
// discard take the same edges, and a trigger in the database refuses every other edge.
// test/OrderHistories.property.test.ts checks that both stores produce the same histories.

/** The order after a transition, and the event for its history. A store writes both, or neither. */
export interface Transition<To extends Order> {
  readonly order: To
  readonly event: OrderEvent
}

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

const next = (order: Order, at: DateTime.Utc) => ({
  id: order.id,
  type: order.type,
  orderingKey: order.orderingKey,
  group: order.group,
  payload: order.payload,
  payloadVersion: order.payloadVersion,
  priority: order.priority,
  maxRetries: order.maxRetries,
  metadata: order.metadata,
  correlationId: order.correlationId,
  retryCount: order.retryCount,
  failureReason: order.failureReason,
  reasonCode: order.reasonCode,
  createdAt: order.createdAt,
  updatedAt: at,
  version: order.version + 1
})

const lastFailure = ({ reason, reasonCode }: Failure) => ({ failureReason: reason, reasonCode })

/** New order → PENDING, version 1, due at once or at `notBefore`. */
export const submit = ({ notBefore, ...order }: NewOrder, at: DateTime.Utc): Transition<PendingOrder> => {
  const dueAt = notBefore === null ? at : DateTime.max(notBefore, at)
  const to: PendingOrder = {
    ...order,
    status: "PENDING",
    version: 1,
    retryCount: 0,
    failureReason: null,
    reasonCode: null,
    createdAt: at,
    updatedAt: at,
    dueAt
  }
  return { order: to, event: event("created", null, to, attemptOf(to)) }
}

/** PENDING → PROCESSING: the worker holds the order. Only for an order that is due and free to run. */
export const start = (order: PendingOrder, worker: string, at: DateTime.Utc): Transition<ProcessingOrder> => {
  const to: ProcessingOrder = {
    ...next(order, at),
    status: "PROCESSING",
    dueAt: order.dueAt,
    worker,
    cancelRequested: null
  }
  return { order: to, event: event("started", order, to, attemptOf(to), { worker }) }
}

/**
 * PROCESSING → PROCESSED, PENDING or FAILED, by the outcome of the attempt. A failure counts as a failed attempt, a
 * release or a snooze does not. A released order is due at once. If a cancel was requested, every outcome but
 * `completed` becomes a cancel.
 */
export const settle = (order: ProcessingOrder, outcome: Outcome, at: DateTime.Utc): Transition<Order> => {
  if (order.cancelRequested !== null && outcome.event !== "completed") return cancelRunning(order, at)
  const about = { worker: order.worker }
  switch (outcome.event) {
    case "completed": {
      const to: ProcessedOrder = { ...next(order, at), status: "PROCESSED" }
      return { order: to, event: event("completed", order, to, attemptOf(order), about) }
    }
    case "released": {
      const to: PendingOrder = { ...next(order, at), status: "PENDING", dueAt: order.dueAt }
      const { detail } = outcome
      return { order: to, event: event("released", order, to, attemptOf(order), { ...about, detail }) }
    }
    case "snoozed": {
      const dueAt = DateTime.addDuration(at, outcome.delay)
      const to: PendingOrder = { ...next(order, at), status: "PENDING", dueAt }
      const { detail } = outcome
      return { order: to, event: event("snoozed", order, to, attemptOf(order), { ...about, detail }) }
    }
    case "retried":
      return countFailure("retried", order, outcome.failure, at, outcome.delay)
    case "failed":
      return countFailure("failed", order, outcome.failure, at, null)
    case "cancelled":
      return cancelRunning(order, at)
  }
}

/** PROCESSING → FAILED without a dead letter: the order of a requested cancel whose attempt did not complete. */
const cancelRunning = (order: ProcessingOrder, at: DateTime.Utc): Transition<FailedOrder> =>
  cancelled(order, order.cancelRequested ?? defaultCancelReason, at, order.worker)

/** PENDING → FAILED without a dead letter. `retryCount` stays as it was. */
export const cancel = (order: PendingOrder, reason: string, at: DateTime.Utc): Transition<FailedOrder> =>
  cancelled(order, reason, at, null)

const cancelled = (
  order: PendingOrder | ProcessingOrder,
  reason: string,
  at: DateTime.Utc,
  worker: string | null
): Transition<FailedOrder> => {
  const cancellation = failure("CANCELLED", reason)
  const to: FailedOrder = {
    ...next(order, at),
    ...lastFailure(cancellation),
    status: "FAILED",
    discardedAt: at
  }
  return { order: to, event: event("cancelled", order, to, attemptOf(order), { worker, ...cancellation }) }
}

/** PENDING → PENDING, due now. Only for an order that is not due yet. */
export const hasten = (order: PendingOrder, at: DateTime.Utc): Transition<PendingOrder> => {
  const to: PendingOrder = { ...next(order, at), status: "PENDING", dueAt: at }
  return { order: to, event: event("hastened", order, to, attemptOf(order)) }
}

const countFailure = (
  name: "retried" | "failed" | "expired",
  order: ProcessingOrder,
  failure: Failure,
  at: DateTime.Utc,
  retryIn: Duration.Input | null
): Transition<PendingOrder | FailedOrder> => {
  const base = { ...next(order, at), retryCount: order.retryCount + 1, ...lastFailure(failure) }
  const to: PendingOrder | FailedOrder =
    retryIn === null
      ? { ...base, status: "FAILED", discardedAt: null }
      : { ...base, status: "PENDING", dueAt: DateTime.addDuration(at, retryIn) }
  return { order: to, event: event(name, order, to, attemptOf(order), { worker: order.worker, ...failure }) }
}

/**
 * The lease of the worker ended, which counts as a failed attempt. PROCESSING → FAILED if it was the last attempt,
 * otherwise PROCESSING → PENDING, due at once. If a cancel was requested, the order is cancelled instead.
 */
export const expire = (order: ProcessingOrder, at: DateTime.Utc): Transition<PendingOrder | FailedOrder> =>
  order.cancelRequested === null
    ? countFailure("expired", order, workerLost, at, isLastAttempt(order) ? null : 0)
    : cancelRunning(order, at)

/** FAILED → PENDING, due at once, with `retryCount` 0. Only for an order that was not discarded. */
export const reprocess = (order: FailedOrder, at: DateTime.Utc): Transition<PendingOrder> => {
  const base = { ...next(order, at), retryCount: 0, failureReason: null, reasonCode: null }
  const to: PendingOrder = { ...base, status: "PENDING", dueAt: at }
  return { order: to, event: event("reprocessed", order, to, attemptOf(to)) }
}

/** FAILED → FAILED: removes the dead letter for good. The event keeps the operator's reason. */
export const discard = (
  order: FailedOrder,
  reason: string | null,
  at: DateTime.Utc
): Transition<FailedOrder> => {
  const to: FailedOrder = { ...next(order, at), status: "FAILED", discardedAt: at }
  return { order: to, event: event("discarded", order, to, order.retryCount, { reason }) }
}
