import { DateTime } from "effect"
import { attemptOf, isDue, type Order, type PendingOrder } from "../../domain/Order.ts"
import { endsAttempt, type OrderEvent } from "../../domain/OrderEvent.ts"

/** Orders that are due before one are counted up to here; that there are more is said of any larger number. */
export const maxDueBefore = 10_000

/**
 * One sentence on why the order is not running or done right now (or that it is). `events` is its history, oldest
 * first; `dueBefore` says how many due orders are started before it, null where it is not due.
 */
export const explainOrder = (
  order: Order,
  events: ReadonlyArray<OrderEvent>,
  dueBefore: number | null,
  now: DateTime.Utc
): string => {
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
      // A store whose clock is behind ours does not count an order as due yet.
      return dueBefore !== null || isDue(order, now)
        ? waitingInLine(order, dueBefore ?? 0)
        : `waiting until ${DateTime.formatIso(order.dueAt)}${waitingFor(order, events)}`
  }
}

const waitingInLine = (order: PendingOrder, before: number) => {
  const since = `due since ${DateTime.formatIso(order.dueAt)}`
  if (before === 0) return `${since}: waiting for a free worker`
  const count = before > maxDueBefore ? `more than ${grouped(maxDueBefore)}` : grouped(before)
  return `waiting: ${count} ${before === 1 ? "order is" : "orders are"} due before it; ${since}`
}

/** 3120 as 3,120. */
const grouped = (count: number) => String(count).replace(/\B(?=(?:\d{3})+$)/g, ",")

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
