import type { DateTime, Duration } from "effect"
import type { ReasonCode } from "./Failure.ts"
import type { Order } from "./Order.ts"
import type { OrderId } from "./OrderId.ts"
import type { OrderStatus } from "./OrderStatus.ts"

/**
 * A position in a list. Orders are sorted by the time they were created, dead letters by the time their order
 * failed; entries with the same time are sorted by order id.
 */
export interface Position {
  readonly at: DateTime.Utc
  readonly orderId: OrderId
}

/** One page of a list, newest first. `At` is a position in the list. */
export interface Page<At = Position> {
  readonly limit: number
  /** The end of the previous page; null for the first page. */
  readonly after: At | null
}

/**
 * The content of a page. Following `next` until it is null returns, exactly once, each entry that existed
 * from the first page to the last. Any page may have fewer entries than its limit, even none, because each
 * search examines a bounded number of entries.
 */
export interface Listing<A, At = Position> {
  readonly entries: ReadonlyArray<A>
  readonly next: At | null
}

/**
 * The page of up to `limit` entries. One more entry than `limit` must have been read, which tells whether there is a
 * next page.
 */
export const makeListing = <A, At>(
  found: ReadonlyArray<A>,
  limit: number,
  positionOf: (entry: A) => At
): Listing<A, At> => {
  const entries = found.slice(0, limit)
  const last = entries.at(-1)
  return { entries, next: last === undefined || found.length <= limit ? null : positionOf(last) }
}

/** The orders that match every condition. */
export interface OrderFilter {
  readonly status?: OrderStatus
  readonly type?: string
  readonly orderingKey?: string
  readonly group?: string
  /** PENDING after a failed attempt. */
  readonly retrying?: true
  /** At or after this time. */
  readonly createdAfter?: DateTime.Utc
  /** Before this time. */
  readonly createdBefore?: DateTime.Utc
  /** With each of these values under its key. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** The dead letters that match every condition. */
export interface DeadLetterFilter {
  readonly reasonCode?: ReasonCode
  /** The failure group: 16 hexadecimal digits in lower case. */
  readonly fingerprint?: string
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
  /** The final states whose number of orders is an estimate. */
  readonly estimated: ReadonlyArray<OrderStatus>
  /** PENDING after a failed attempt. */
  readonly retrying: number
  readonly deadLetters: number
  /** How long the oldest due order has waited since it became due; null if no order is due. */
  readonly oldestDueAge: Duration.Duration | null
  /** Orders created per second in the last ten seconds. */
  readonly createdPerSecond: number
  /** Orders completed per second in the last ten seconds. */
  readonly completedPerSecond: number
  readonly asOf: DateTime.Utc
  /** Whether a count of orders that are not final, or of dead letters, stopped at 100,000. */
  readonly truncated: boolean
}
