import { Context, Duration, type Effect } from "effect"
import type { GroupLimits } from "../../domain/Groups.ts"
import type { Order } from "../../domain/Order.ts"
import type { OrderNotFound, OrdersUnavailable } from "../../domain/OrderErrors.ts"
import type { OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import type { WhyWaiting } from "../../domain/WhyWaiting.ts"
import type { ListedOrder, Listing, OrderFilter, Page, Stats } from "../../domain/OrderQueries.ts"

/** A process is not ready if `ping` of its store takes longer than this. */
export const readinessLimit = Duration.seconds(2)

/**
 * The orders that are not final. `oldestDueAge` is how long the oldest due order has waited since it became due; null
 * if none is due.
 */
export interface Backlog {
  readonly pending: number
  readonly processing: number
  readonly oldestDueAge: Duration.Duration | null
}

/**
 * Reads orders, their history and figures about them. Each read sees every transition that was committed
 * before the read began, and never a part of a transition. A read changes nothing and may be repeated.
 */
export class OrderReads extends Context.Service<
  OrderReads,
  {
    readonly find: (id: OrderId) => Effect.Effect<Order, OrderNotFound | OrdersUnavailable>

    /** Every event of the order, oldest first. */
    readonly timeline: (
      id: OrderId
    ) => Effect.Effect<ReadonlyArray<OrderEvent>, OrderNotFound | OrdersUnavailable>

    /**
     * One list for each position, in the sequence of the positions: the events of the order `id` after the
     * version `after`, oldest first. At most `maxEach` events per list and `maxAll` in total. An unknown
     * order has no events.
     */
    readonly eventsAfter: (
      positions: ReadonlyArray<{ readonly id: OrderId; readonly after: number }>,
      limits: { readonly maxEach: number; readonly maxAll: number }
    ) => Effect.Effect<ReadonlyArray<ReadonlyArray<OrderEvent>>, OrdersUnavailable>

    /**
     * Why a PENDING order does not run now; null for an order in another state. Orders before it are counted up to
     * `limit`. `defaultLimits` are the limits of groups for which none were set.
     */
    readonly whyWaiting: (
      id: OrderId,
      options: { readonly limit: number; readonly defaultLimits?: GroupLimits }
    ) => Effect.Effect<WhyWaiting | null, OrderNotFound | OrdersUnavailable>

    /** A page of orders, newest first: by time of creation, then id. */
    readonly list: (
      page: Page,
      filter?: OrderFilter
    ) => Effect.Effect<Listing<ListedOrder>, OrdersUnavailable>

    /** Waiting and running orders, counted exactly up to 100,000 of each. */
    readonly backlog: Effect.Effect<Backlog, OrdersUnavailable>

    /** Figures of all orders. Dead letters, and orders that are not final, are counted exactly up to 100,000 of each. */
    readonly stats: Effect.Effect<Stats, OrdersUnavailable>

    /** Succeeds if the store could store an order now. */
    readonly ping: Effect.Effect<void, OrdersUnavailable>
  }
>()("order-platform/application/ports/OrderReads") {}
