import { Effect } from "effect"
import type { Operator } from "../../domain/Audit.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { ControlStore } from "../ports/ControlStore.ts"
import { WakeUp } from "../ports/WakeUp.ts"

/** Makes a PENDING order that is not due yet due now, and announces it to the workers after the commit. */
export const runOrder = Effect.fn("RunOrder")(function* (id: OrderId, operator?: Operator) {
  const store = yield* ControlStore
  const wakeUp = yield* WakeUp
  const order = yield* store.run(id, operator)
  yield* store.afterCommit(wakeUp.announce(1))
  return order
})
