import { DateTime, Effect } from "effect"
import { attemptOf, isDue, type Order, type PendingOrder } from "../../domain/Order.ts"
import { endsAttempt, type OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { OrderReads } from "../ports/OrderReads.ts"

/**
 * The explanation of a due order says how many due orders are claimed before it. They are counted up to this
 * number; if there are more, the explanation says "more than".
 */
const maxDueBefore = 10_000

/** The timeline of an order, and one sentence that says that it is running or done, or why it is not. */
export const explainOrder = Effect.fn("ExplainOrder")(function* (id: OrderId) {
  const reads = yield* OrderReads
  const order = yield* reads.find(id)
  const events = yield* reads.timeline(id)
  const dueBefore = order.status === "PENDING" ? yield* reads.countDueBefore(id, maxDueBefore + 1) : null
  return { events, explanation: explain(order, events, dueBefore, yield* DateTime.now) }
})

/**
 * One sentence that says that the order is running or done, or why it is not. `events` is the history of the
 * order, oldest first; `dueBefore` is how many due orders are claimed before this one, null if this one is
 * not due.
 */
export const explain = (
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
      // The order may be due by this process's clock and not yet by the store's.
      return dueBefore !== null || isDue(order, now)
        ? waitingForWorker(order, dueBefore ?? 0)
        : `waiting until ${DateTime.formatIso(order.dueAt)}${waitingFor(order, events)}`
  }
}

const waitingForWorker = (order: PendingOrder, before: number) => {
  const since = `due since ${DateTime.formatIso(order.dueAt)}`
  if (before === 0) return `${since}: waiting for a free worker`
  const count = before > maxDueBefore ? `more than ${grouped(maxDueBefore)}` : grouped(before)
  return `waiting: ${count} ${before === 1 ? "order is" : "orders are"} due before it; ${since}`
}

/** Adds thousands separators: 3120 becomes 3,120. */
const grouped = (count: number) => String(count).replace(/\B(?=(?:\d{3})+$)/g, ",")

/** `maxRetries` 0 counts as 1. */
const ofAttempts = (count: number, order: Order) => `${count} of ${Math.max(1, order.maxRetries)}`

const failed = (order: Order) => {
  // An order that is FAILED with attempts left had a permanent failure.
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
    return `: attempt ${ofAttempts(last.attempt, order)} was snoozed${last.detail === null ? "" : `: ${last.detail}`}`
  }
  if (last.event === "released") return ""
  return ` after attempt ${ofAttempts(last.attempt, order)} failed${last.reason === null ? "" : `: ${last.reason}`}`
}
