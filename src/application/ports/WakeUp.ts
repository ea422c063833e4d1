import { Context, type Effect } from "effect"
import type { OrderId } from "../../domain/OrderId.ts"

/** Says that orders became due: a wake-up, nothing more. */
export interface Announcement {
  readonly event: "OrderCreated" | "OrderReprocessed"
  readonly orderId: OrderId
}

/**
 * Announces due orders to workers. Delivery is at most once, in any order, and to any one of the listening workers: an
 * announcement may be lost, late or repeated, and nothing goes wrong, because every worker looks at the table
 * by itself before long. It never fails and never blocks for long: the orders are stored already.
 */
export class WakeUp extends Context.Service<
  WakeUp,
  {
    readonly announce: (announcements: ReadonlyArray<Announcement>) => Effect.Effect<void>
    /** Waits until something was announced since the last call. */
    readonly announced: Effect.Effect<void>
  }
>()("order-platform/application/ports/WakeUp") {}
