import { Effect } from "effect"
import { cleanReason, defaultCancelReason } from "../../domain/Failure.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { ControlStore } from "../ports/ControlStore.ts"
import { WakeUp } from "../ports/WakeUp.ts"

/**
 * Cancels an order that is not final. After the commit the workers are woken: the next order of the ordering key may
 * start, and the worker of a running order interrupts its attempt. A blank reason counts as none.
 */
export const cancelOrder = Effect.fn("CancelOrder")(function* (
  id: OrderId,
  { ifVersion, reason = "" }: { readonly reason?: string; readonly ifVersion?: number } = {}
) {
  const store = yield* ControlStore
  const wakeUp = yield* WakeUp
  const order = yield* store.cancel(id, {
    reason: reason.trim() === "" ? defaultCancelReason : cleanReason(reason),
    ...(ifVersion === undefined ? {} : { ifVersion })
  })
  yield* store.afterCommit(wakeUp.announce(1))
  return order
})
