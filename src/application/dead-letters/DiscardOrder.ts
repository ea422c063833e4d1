import { Effect } from "effect"
import { cleanReason } from "../../domain/Failure.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { DeadLetterStore } from "../ports/DeadLetterStore.ts"

/**
 * Deletes a dead letter for good; its order stays FAILED. The reason is cleaned like the reason of a failure.
 */
export const discardOrder = Effect.fn("DiscardOrder")(function* (
  id: OrderId,
  { ifVersion, reason }: { readonly reason?: string; readonly ifVersion?: number } = {}
) {
  const store = yield* DeadLetterStore
  return yield* store.discard(id, {
    ...(ifVersion === undefined ? {} : { ifVersion }),
    ...(reason === undefined ? {} : { reason: cleanReason(reason) })
  })
})
