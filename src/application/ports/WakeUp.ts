import { Context, type Effect } from "effect"

/**
 * Wakes workers up when orders become due. Delivery is at most once and to any one of the listening workers: a wake-up may
 * be lost, late or repeated, and no order is lost by it, because every worker also polls the store.
 */
export class WakeUp extends Context.Service<
  WakeUp,
  {
    /** Announces that this many orders are due. Never fails and never blocks for long: the orders are already stored. */
    readonly announce: (count: number) => Effect.Effect<void>
    /** Waits until something was announced since the last call. */
    readonly awaitAnnouncement: Effect.Effect<void>
  }
>()("order-platform/application/ports/WakeUp") {}
