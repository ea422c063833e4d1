import { DateTime, Effect } from "effect"
import { defaultCancelReason } from "../../domain/Failure.ts"
import { DefaultGroupLimits } from "../../domain/Groups.ts"
import {
  attemptOf,
  type FailedOrder,
  isDue,
  type Order,
  type PendingOrder,
  type ProcessingOrder
} from "../../domain/Order.ts"
import { endsAttempt, type OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { coversAll, type Pause, scopeName } from "../../domain/Pauses.ts"
import type { WhyWaiting } from "../../domain/WhyWaiting.ts"
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
  const options = { limit: maxDueBefore + 1, defaultLimits: yield* DefaultGroupLimits }
  const why = order.status === "PENDING" ? yield* reads.whyWaiting(id, options) : null
  return { events, explanation: explain(order, events, why, yield* DateTime.now) }
})

/**
 * One sentence that says that the order is running or done, or why it is not. `events` is the history of the order,
 * oldest first. `why` is null if the order is not PENDING, or was no longer PENDING when `why` was read.
 */
export const explain = (
  order: Order,
  events: ReadonlyArray<OrderEvent>,
  why: WhyWaiting | null,
  now: DateTime.Utc
): string => {
  switch (order.status) {
    case "PROCESSED":
      return "processed"
    case "PROCESSING":
      return running(order)
    case "FAILED":
      return events.at(-1)?.event === "cancelled" ? cancelled(order) : failed(order)
    case "PENDING":
      return waiting(order, events, why ?? guess(order, now))
  }
}

const guess = (order: PendingOrder, now: DateTime.Utc): WhyWaiting =>
  isDue(order, now) ? { why: "no free slot", before: 0 } : { why: "not due" }

const running = (order: ProcessingOrder) => {
  const attempt = `running: attempt ${ofAttempts(attemptOf(order), order)} in worker ${order.worker}`
  return order.cancelRequested === null
    ? attempt
    : `${attempt}; a cancel was requested${becauseOf(order.cancelRequested)}, so it is cancelled unless this attempt completes`
}

const becauseOf = (reason: string) => (reason === defaultCancelReason ? "" : ` (${reason})`)

const cancelled = ({ failureReason }: FailedOrder) =>
  failureReason === null || failureReason === defaultCancelReason
    ? "cancelled"
    : `cancelled: ${failureReason}`

const waiting = (order: PendingOrder, events: ReadonlyArray<OrderEvent>, why: WhyWaiting): string => {
  const group = order.group ?? ""
  switch (why.why) {
    case "not due":
      return `waiting until ${DateTime.formatIso(order.dueAt)}${waitingFor(order, events)}`
    case "behind its key":
      return `waits behind order ${why.orderId} of its key`
    case "paused":
      return paused(why.pause)
    case "no worker for its type":
      return `no worker takes type ${order.type}`
    case "breaker is open":
      return `most attempts of type ${order.type} failed, so since ${DateTime.formatIso(why.since)} each worker tries one order at a time (its circuit breaker is open)`
    case "group is full":
      return `group ${group} runs its ${grouped(why.running)} of ${grouped(why.maxRunning)}`
    case "group has used its rate":
      return `group ${group} has used its rate of ${why.ratePerSecond} a second; the next may start at ${DateTime.formatIso(why.nextAt)}`
    case "no free slot":
      return waitingForWorker(order, why.before)
  }
}

const paused = ({ by, reason, resumeAt, ...scope }: Pause) => {
  const what = coversAll(scope) ? "paused" : `${scopeName(scope)} is paused`
  const until = resumeAt === null ? "" : ` (until ${DateTime.formatIso(resumeAt)})`
  return `${what}${by === null ? "" : ` by ${by}`}: ${reason}${until}`
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

const failed = (order: FailedOrder) => {
  // An order that is FAILED with attempts left had a permanent failure.
  const how =
    order.retryCount < Math.max(1, order.maxRetries)
      ? `permanently in attempt ${ofAttempts(order.retryCount, order)}`
      : `after ${ofAttempts(order.retryCount, order)} attempts`
  const where =
    order.discardedAt === null
      ? "it is in the dead letter queue"
      : `it was discarded at ${DateTime.formatIso(order.discardedAt)}`
  return `failed ${how}${order.failureReason === null ? "" : `: ${order.failureReason}`}; ${where}`
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
