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
     * Announces that `count` orders are due. The orders are already stored, so the caller must neither fail
     * nor wait if an announcement cannot be delivered: this effect never fails and returns soon.
     */
    readonly announce: (count: number) => Effect.Effect<void>
    /** Waits for an announcement; returns at once if an announcement arrived since the last call. */
    readonly awaitAnnouncement: Effect.Effect<void>
  }
>()("order-platform/application/ports/WakeUp") {}
