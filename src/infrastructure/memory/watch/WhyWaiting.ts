import { DateTime } from "effect"
import type { GroupLimits } from "../../../domain/Groups.ts"
import { isDue, type Order, type PendingOrder } from "../../../domain/Order.ts"
import type { WhyWaiting } from "../../../domain/WhyWaiting.ts"
import type { MemoryOrders } from "../MemoryOrders.ts"
import { countBefore, countDueOf } from "../work/DueOrders.ts"

/**
 * The number of due orders of higher priorities and of earlier ones of the same priority, type and group, up to
 * `limit`.
 */
const countDueBefore = (
  { lanes }: MemoryOrders["Service"],
  order: PendingOrder,
  limit: number,
  at: DateTime.Utc
): number => {
  const before = lanes().map((lane) => {
    if (lane.priority > order.priority) return countDueOf(lane, at)
    const isSame = lane.priority === order.priority && lane.type === order.type && lane.group === order.group
    return isSame ? countBefore(lane, order) : 0
  })
  return Math.min(
    limit,
    before.reduce((a, b) => a + b, 0)
  )
}

/** Why a PENDING order does not run now, by the conditions of the claim; null for an order in another state. */
export const whyWaiting = (
  memory: MemoryOrders["Service"],
  order: Order,
  { defaultLimits, limit }: { readonly limit: number; readonly defaultLimits?: GroupLimits },
  at: DateTime.Utc
): WhyWaiting | null => {
  const { groups, keys, pauses, workers } = memory
  if (order.status !== "PENDING") return null
  if (!isDue(order, at)) return { why: "not due" }
  const ahead = order.orderingKey === null ? null : keys.ahead(order)
  if (ahead !== null) return { why: "behind its key", orderId: ahead }
  const [pause] = pauses.over(order, at)
  if (pause !== undefined) return { why: "paused", pause }
  if (!workers.takes(order.type, at)) return { why: "no worker for its type" }
  const [breaker] = workers.breakers(order.type, at).toSorted((a, b) => DateTime.Order(a.since, b.since))
  if (breaker !== undefined) return { why: "breaker is open", since: breaker.since }
  return (
    groups.limitReached(order.group, defaultLimits, at) ?? {
      why: "no free slot",
      before: countDueBefore(memory, order, limit, at)
    }
  )
}
