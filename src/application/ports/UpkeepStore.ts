import { Context, type Duration, type Effect } from "effect"
import type { OrdersUnavailable } from "../../domain/OrderErrors.ts"

/** Deletes expired data, in small batches. Every call may be repeated, and several processes may call at once. */
export class UpkeepStore extends Context.Service<
  UpkeepStore,
  {
    /**
     * Deletes up to `max` orders in this final state whose last transition is older than `age`, oldest first,
     * each with its history and its dead letter. Deletes nothing while another process is deleting old
     * orders, whatever their status. Returns the number of deleted orders.
     */
    readonly deleteOldOrders: (
      status: "PROCESSED" | "FAILED",
      age: Duration.Duration,
      max: number
    ) => Effect.Effect<number, OrdersUnavailable>

    /** Deletes up to `max` idempotency keys that have expired, and returns the number of deleted keys. */
    readonly deleteExpiredKeys: (max: number) => Effect.Effect<number, OrdersUnavailable>

    /**
     * Deletes what is stored about the rate of up to `max` groups for which no limits were set and that have started
     * nothing for an hour, after which every rate has recovered. Returns the number of these groups.
     */
    readonly deleteIdleGroups: (max: number) => Effect.Effect<number, OrdersUnavailable>

    /**
     * Deletes up to `max` failure groups that have no entries, and to which nothing was added for 30 days, nor were they
     * marked as fixed. Returns the number of deleted groups.
     */
    readonly deleteIdleFailureGroups: (max: number) => Effect.Effect<number, OrdersUnavailable>
  }
>()("order-platform/application/ports/UpkeepStore") {}
