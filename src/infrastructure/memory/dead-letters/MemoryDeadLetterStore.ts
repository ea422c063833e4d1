import { type DateTime, Effect, Layer } from "effect"
import { DeadLetterStore } from "../../../application/ports/DeadLetterStore.ts"
import type { Operator } from "../../../domain/Audit.ts"
import type { DeadLetter } from "../../../domain/DeadLetter.ts"
import { markName } from "../../../domain/FailureGroup.ts"
import { type FailedOrder, type Order } from "../../../domain/Order.ts"
import { discard, reprocess, type Transition } from "../../../domain/OrderTransitions.ts"
import {
  FailureGroupNotFound,
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrderVersionMismatch
} from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { DeadLetterFilter, Position } from "../../../domain/OrderQueries.ts"
import { isWithin, pageOf } from "../Listing.ts"
import { atNow, copyOf, MemoryOrders } from "../MemoryOrders.ts"
import { viewGroup } from "./FailureGroups.ts"

const matches =
  ({ failedAfter, failedBefore, fingerprint, reason = "", reasonCode }: DeadLetterFilter) =>
  (entry: DeadLetter) =>
    (reasonCode === undefined || entry.reasonCode === reasonCode) &&
    (fingerprint === undefined || entry.fingerprint === fingerprint) &&
    entry.reason.includes(reason) &&
    isWithin(entry.failedAt, failedAfter, failedBefore)

const positionOf = ({ failedAt, orderId }: DeadLetter): Position => ({ at: failedAt, orderId })

interface ChangeOptions {
  readonly ifVersion?: number
  readonly operator?: Operator
  readonly reason?: string
}

export const layer = Layer.effect(
  DeadLetterStore,
  Effect.gen(function* () {
    const { audit, deadLetters, failureGroups, find, orders, store } = yield* MemoryOrders

    /** The newest entry of the group. */
    const sampleOf = (fingerprint: string): OrderId | null => {
      const ofGroup = Array.from(deadLetters.values()).filter(matches({ fingerprint }))
      return pageOf(ofGroup, positionOf, { limit: 1, after: null }).entries[0]?.orderId ?? null
    }

    const change = Effect.fnUntraced(function* (
      id: OrderId,
      { ifVersion, operator, reason }: ChangeOptions,
      action: "reprocess" | "discard",
      to: (order: FailedOrder, at: DateTime.Utc) => Transition<Order>
    ) {
      const at = yield* atNow((at) => at)
      // Synchronous from here on, like one SQL statement, so that exactly one of several concurrent calls
      // succeeds.
      const order = orders.get(id)?.order
      if (order === undefined) return yield* new OrderNotFound({ orderId: id })
      if (ifVersion !== undefined && order.version !== ifVersion)
        return yield* new OrderVersionMismatch({ orderId: id })
      if (order.status !== "FAILED" || order.discardedAt !== null)
        return yield* new OrderNotInDeadLetterQueue({ orderId: id })
      audit.record(action, id, reason ?? null, operator, at)
      return copyOf(store(to(order, at)))
    })

    return DeadLetterStore.of({
      list: (page, filter = {}) =>
        Effect.sync(() => pageOf(Array.from(deadLetters.values()).filter(matches(filter)), positionOf, page)),
      find: (id) =>
        Effect.flatMap(find(id), () => {
          const deadLetter = deadLetters.get(id)
          return deadLetter === undefined
            ? Effect.fail(new OrderNotInDeadLetterQueue({ orderId: id }))
            : Effect.succeed(deadLetter)
        }),
      reprocess: (id, options = {}) => change(id, options, "reprocess", reprocess),
      discard: (id, options = {}) =>
        change(id, options, "discard", (order, at) => discard(order, options.reason ?? null, at)),
      failureGroups: (page) =>
        atNow((at) =>
          failureGroups.list(page).map((group) => viewGroup(group, sampleOf(group.fingerprint), at))
        ),
      markFixed: (fingerprint, { operator, reason = null, version = null } = {}) =>
        Effect.flatten(
          atNow((at) => {
            const group = failureGroups.markFixed(fingerprint, version, at)
            if (group === undefined) return Effect.fail(new FailureGroupNotFound({ fingerprint }))
            audit.record("mark fixed", markName(fingerprint, version), reason, operator, at)
            return Effect.succeed(viewGroup(group, sampleOf(fingerprint), at))
          })
        ),
      afterCommit: (effect) => effect
    })
  })
)
