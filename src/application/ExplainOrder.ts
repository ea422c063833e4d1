import { DateTime } from "effect"
import { attemptOf, isDue, type Order } from "../domain/Order.ts"
import { endsAttempt, type OrderEvent } from "../domain/OrderEvent.ts"

/**
 * One sentence on why the order is not running or done right now (or that it is). `events` is its history,
 * oldest first.
 */
export const explainOrder = (order: Order, events: ReadonlyArray<OrderEvent>, now: DateTime.Utc): string => {
  switch (order.status) {
    case "PROCESSED":
      return "processed"
    case "PROCESSING":
      return `running: attempt ${ofAttempts(attemptOf(order), order)} in worker ${order.worker}`
    case "FAILED":
      return `${failed(order)}; ${
        order.discardedAt === null
          ? "it is in the dead letter queue"
          : `it was discarded at ${DateTime.formatIso(order.discardedAt)}`
      }`
    case "PENDING":
      return isDue(order, now)
        ? `due since ${DateTime.formatIso(order.dueAt)}: waiting for a free worker`
        : `waiting until ${DateTime.formatIso(order.dueAt)}${waitingFor(order, events)}`
  }
}

/** `maxRetries` 0 counts as 1. */
const ofAttempts = (count: number, order: Order) => `${count} of ${Math.max(1, order.maxRetries)}`

const failed = (order: Order) => {
  // What fails before its attempts are used up failed for good: the processor said that no retry will help.
  const how =
    order.retryCount < Math.max(1, order.maxRetries)
      ? `permanently in attempt ${ofAttempts(order.retryCount, order)}`
      : `after ${ofAttempts(order.retryCount, order)} attempts`
  return `failed ${how}${order.failureReason === null ? "" : `: ${order.failureReason}`}`
}

const waitingFor = (order: Order, events: ReadonlyArray<OrderEvent>) => {
  const last = events.at(-1)
  if (last === undefined || !endsAttempt(last))
    return last?.event === "created" ? ", the time it was submitted for" : ""
  if (last.event === "snoozed") {
    return `: attempt ${ofAttempts(last.attempt, order)} asked for later${last.detail === null ? "" : `: ${last.detail}`}`
  }
  if (last.event === "released") return ""
  return ` after attempt ${ofAttempts(last.attempt, order)} failed${last.reason === null ? "" : `: ${last.reason}`}`
}
