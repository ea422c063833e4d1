import type { Fiber } from "effect"
import type { ProcessingOrder } from "../domain/Order.ts"
import type { OrderId } from "../domain/OrderId.ts"

/** An order that this worker started and has not settled. */
export interface InHand {
  readonly order: ProcessingOrder
  /** The attempt, from the moment it runs. */
  fiber: Fiber.Fiber<unknown> | null
  /** Decided and waiting to be settled: nothing can be lost or released any more. */
  finished: boolean
}

/** The orders in hand by id: what the heartbeat compares with the leases that the store knows. */
export type OrdersInHand = Map<OrderId, InHand>

/** Forgets this attempt, and not a later one of the same order. */
export const drop = (inHand: OrdersInHand, attempt: InHand): void => {
  if (inHand.get(attempt.order.id) === attempt) inHand.delete(attempt.order.id)
}
