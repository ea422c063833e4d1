import { Effect } from "effect"
import type { Operator } from "../../domain/Audit.ts"
import { cleanReason } from "../../domain/Failure.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { DeadLetterStore } from "../ports/DeadLetterStore.ts"

interface DiscardOptions {
  readonly reason?: string
  readonly ifVersion?: number
  readonly operator?: Operator
}

/**
 * Deletes a dead letter for good; its order stays FAILED. The reason is cleaned like the reason of a failure.
 */
export const discardOrder = Effect.fn("DiscardOrder")(function* (
  id: OrderId,
  { reason, ...options }: DiscardOptions = {}
) {
  const store = yield* DeadLetterStore
  return yield* store.discard(id, {
    ...options,
    ...(reason === undefined ? {} : { reason: cleanReason(reason) })
  })
})
