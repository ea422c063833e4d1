import { Context, type Effect } from "effect"

/**
 * Wakes workers when orders become due. Delivery is best effort: an announcement may be lost, late or
 * repeated, and need not reach every worker. A lost announcement only delays an order, because every worker
 * also polls the store.
 */
export class WakeUp extends Context.Service<
  WakeUp,
  {
    /**
     * Announces that `count` orders are due. It never fails and returns soon, because the orders are already stored.
     */
    readonly announce: (count: number) => Effect.Effect<void>
    /** Waits for an announcement; returns at once if an announcement arrived since the last call. */
    readonly awaitAnnouncement: Effect.Effect<void>
  }
>()("order-platform/application/ports/WakeUp") {}
