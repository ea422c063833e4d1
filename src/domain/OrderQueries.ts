import type { DateTime, Duration } from "effect"
import type { ReasonCode } from "./Failure.ts"
import type { Order } from "./Order.ts"
import type { OrderId } from "./OrderId.ts"
import type { OrderStatus } from "./OrderStatus.ts"

/** A position in a list, which is sorted by the time an order was created, or failed, and then by id. */
export interface Position {
  readonly at: DateTime.Utc
  readonly orderId: OrderId
}

/** One page of a list, newest first. */
export interface Page {
  readonly limit: number
  /** The end of the previous page; null for the first page. */
  readonly after: Position | null
}

/**
 * The content of a page. Following `next` until it is null visits every entry that existed all the time exactly once. A page
 * may be short or even empty and still have a next one, since a search for rare entries stops after a bounded stretch.
 */
export interface Listing<A> {
  readonly entries: ReadonlyArray<A>
  readonly next: Position | null
}

/** Lists the orders that match every condition. */
export interface OrderFilter {
  readonly status?: OrderStatus
  /** PENDING after a failed attempt. */
  readonly retrying?: true
  /** At or after this time. */
  readonly createdAfter?: DateTime.Utc
  /** Before this time. */
  readonly createdBefore?: DateTime.Utc
  /** With each of these values. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** Lists the dead letters that match every condition. */
export interface DeadLetterFilter {
  readonly reasonCode?: ReasonCode
  /** A part of the reason; case matters. */
  readonly reason?: string
  /** At or after this time. */
  readonly failedAfter?: DateTime.Utc
  /** Before this time. */
  readonly failedBefore?: DateTime.Utc
}

type WithoutPayload<O> = O extends Order ? Omit<O, "payload"> : never
/** An order in a list: without its payload, which can be large. */
export type ListedOrder = WithoutPayload<Order>

/** Figures about all orders at one time. */
export interface Stats {
  readonly byStatus: Readonly<Record<OrderStatus, number>>
  /** The final states whose number is an estimate. */
  readonly estimated: ReadonlyArray<OrderStatus>
  /** PENDING after a failed attempt. */
  readonly retrying: number
  readonly deadLetters: number
  /** How long the order that became due first has waited; null if no order is due. */
  readonly oldestDueAge: Duration.Duration | null
  /** Orders created per second, recently. */
  readonly createdPerSecond: number
  /** Orders completed per second, recently. */
  readonly completedPerSecond: number
  readonly asOf: DateTime.Utc
  /** Whether a count of orders that are not final, or of dead letters, stopped at 100,000. */
  readonly truncated: boolean
}
