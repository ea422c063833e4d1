import { DateTime, type Duration, Effect, Layer } from "effect"
import { OrderReads } from "../../../application/ports/OrderReads.ts"
import { isDue, type Order, type PendingOrder } from "../../../domain/Order.ts"
import type { ListedOrder, OrderFilter, Stats } from "../../../domain/OrderQueries.ts"
import { isWithin, pageOf } from "../Listing.ts"
import { atNow, bestFirst, copyOf, dueAmong, earliest, MemoryOrders, ratePerSecond } from "../MemoryOrders.ts"

const withoutPayload = (order: Order): ListedOrder => {
  const { payload: _, ...listed } = order
  return { ...listed, metadata: { ...order.metadata } }
}

const matches =
  ({ createdAfter, createdBefore, metadata = {}, retrying, status }: OrderFilter) =>
  (order: ListedOrder) =>
    (status === undefined || order.status === status) &&
    (retrying !== true || (order.status === "PENDING" && order.retryCount > 0)) &&
    isWithin(order.createdAt, createdAfter, createdBefore) &&
    Object.entries(metadata).every(
      ([key, value]) => Object.hasOwn(order.metadata, key) && order.metadata[key] === value
    )

const oldestDueAge = (pending: ReadonlyArray<PendingOrder>, at: DateTime.Utc): Duration.Duration | null => {
  const first = earliest(dueAmong(pending, at).map(({ dueAt }) => dueAt))
  return first === null ? null : DateTime.distance(first, at)
}

const statsOf = (
  { countOf, deadLetters, inStatus, orders }: MemoryOrders["Service"],
  at: DateTime.Utc
): Stats => {
  const all = Array.from(orders.values(), ({ order }) => order.createdAt)
  const pending = inStatus("PENDING")
  const completed = inStatus("PROCESSED").map(({ updatedAt }) => updatedAt)
  return {
    byStatus: {
      PENDING: pending.length,
      PROCESSING: countOf("PROCESSING"),
      PROCESSED: completed.length,
      FAILED: countOf("FAILED")
    },
    estimated: [],
    retrying: pending.filter(({ retryCount }) => retryCount > 0).length,
    deadLetters: deadLetters.size,
    oldestDueAge: oldestDueAge(pending, at),
    createdPerSecond: ratePerSecond(all, at),
    completedPerSecond: ratePerSecond(completed, at),
    asOf: at,
    truncated: false
  }
}

export const layer = Layer.effect(
  OrderReads,
  Effect.gen(function* () {
    const memory = yield* MemoryOrders
    const { countOf, find, inStatus, orders } = memory

    return OrderReads.of({
      find: (id) => Effect.map(find(id), ({ order }) => copyOf(order)),
      timeline: (id) => Effect.map(find(id), ({ events }) => events),
      eventsAfter: (positions, { maxAll, maxEach }) =>
        Effect.sync(() => {
          let left = maxAll
          return positions.map(({ after, id }) => {
            const later = (orders.get(id)?.events ?? []).filter(({ version }) => version > after)
            const events = later.slice(0, Math.min(maxEach, left))
            left -= events.length
            return events
          })
        }),
      countDueBefore: (id, limit) =>
        Effect.flatMap(find(id), ({ order }) =>
          atNow((at) => {
            if (order.status !== "PENDING" || !isDue(order, at)) return null
            const before = dueAmong(inStatus("PENDING"), at).filter((other) => bestFirst(other, order) < 0)
            return Math.min(limit, before.length)
          })
        ),
      list: (page, filter = {}) =>
        Effect.sync(() =>
          pageOf(
            Array.from(orders.values(), ({ order }) => withoutPayload(order)).filter(matches(filter)),
            ({ createdAt, id }) => ({ at: createdAt, orderId: id }),
            page
          )
        ),
      backlog: atNow((at) => ({
        pending: countOf("PENDING"),
        processing: countOf("PROCESSING"),
        oldestDueAge: oldestDueAge(inStatus("PENDING"), at)
      })),
      stats: atNow((at) => statsOf(memory, at)),
      ping: Effect.void
    })
  })
)
