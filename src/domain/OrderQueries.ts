import type { DateTime, Duration } from "effect"
import type { ReasonCode } from "./Failure.ts"
import type { Order } from "./Order.ts"
import type { OrderId } from "./OrderId.ts"
import type { OrderStatus } from "./OrderStatus.ts"

/** A place in a list: by when an order was created, or failed, and its id. */
export interface Position {
  readonly at: DateTime.Utc
  readonly orderId: OrderId
}

/** One page of a list, newest first. */
export interface Page {
  readonly limit: number
  /** Where the page before ended; null for the first page. */
  readonly after: Position | null
}

/**
 * What a page holds. Following `next` until it is null passes everything that was there from start to end exactly
 * once. A page may be shorter than its limit, and even empty, and have a next one: looking for what is rare stops in
 * between.
 */
export interface Listing<A> {
  readonly entries: ReadonlyArray<A>
  readonly next: Position | null
}

/** Which orders are listed: those for which all of it holds. */
export interface OrderFilter {
  readonly status?: OrderStatus
  /** PENDING after a failed attempt. */
  readonly retrying?: true
  /** At this time or later. */
  readonly createdAfter?: DateTime.Utc
  /** Earlier than this time. */
  readonly createdBefore?: DateTime.Utc
  /** With all these values. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** Which dead letters are listed: those for which all of it holds. */
export interface DeadLetterFilter {
  readonly reasonCode?: ReasonCode
  /** A part of the reason, in the same letters. */
  readonly reason?: string
  /** At this time or later. */
  readonly failedAfter?: DateTime.Utc
  /** Earlier than this time. */
  readonly failedBefore?: DateTime.Utc
}

type WithoutPayload<O> = O extends Order ? Omit<O, "payload"> : never
/** An order as lists have it: without what can be large. */
export type ListedOrder = WithoutPayload<Order>

/** Figures of all orders at one time. */
export interface Stats {
  readonly byStatus: Readonly<Record<OrderStatus, number>>
  /** The final states whose number is an estimate and not a count. */
  readonly estimated: ReadonlyArray<OrderStatus>
  /** PENDING after a failed attempt. */
  readonly retrying: number
  readonly deadLetters: number
  /** How long the order that is due longest has waited; null if none is. */
  readonly oldestDueAge: Duration.Duration | null
  /** Orders created a second, of late. */
  readonly createdPerSecond: number
  /** Orders PROCESSED a second, of late. */
  readonly completedPerSecond: number
  readonly asOf: DateTime.Utc
  /** Whether a count of what is not final, or of dead letters, stopped at 100,000. */
  readonly truncated: boolean
}
