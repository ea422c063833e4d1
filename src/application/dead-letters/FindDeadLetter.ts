import { Effect } from "effect"
import { endsAttempt } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { DeadLetterStore } from "../ports/DeadLetterStore.ts"
import { OrderReads } from "../ports/OrderReads.ts"

/** A dead letter, with the events that ended the attempts of its order. */
export const findDeadLetter = Effect.fn("FindDeadLetter")(function* (id: OrderId) {
  const deadLetter = yield* (yield* DeadLetterStore).find(id)
  const events = yield* (yield* OrderReads).timeline(id)
  return { ...deadLetter, attempts: events.filter(endsAttempt) }
})
