import { Effect, Metric } from "effect"
import type { OrderId } from "../../domain/OrderId.ts"
import { deadLettersReprocessed } from "../OrderMetrics.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import { OrderRepository } from "../ports/OrderRepository.ts"

/** Takes an order out of the dead letter queue and makes it due again, then announces it. */
export const reprocessOrder = Effect.fn("ReprocessOrder")(function* (
  id: OrderId,
  options?: { readonly ifVersion?: number }
) {
  const repository = yield* OrderRepository
  const queue = yield* WakeUp
  const order = yield* repository.reprocess(id, options)
  yield* repository.afterCommit(Metric.update(deadLettersReprocessed, 1))
  yield* repository.afterCommit(queue.announce([{ event: "OrderReprocessed", orderId: id }]))
  return order
})
