import { DateTime, type Duration, Effect, Layer } from "effect"
import { OrderReads } from "../../../application/ports/OrderReads.ts"
import type { Order } from "../../../domain/Order.ts"
import type { ListedOrder, OrderFilter, Stats } from "../../../domain/OrderQueries.ts"
import { isWithin, pageOf } from "../Listing.ts"
import { atNow, copyOf, earliest, MemoryOrders, ratePerSecond } from "../MemoryOrders.ts"
import { countDueOf, type Lane } from "../work/DueOrders.ts"
import { whyWaiting } from "./WhyWaiting.ts"

const withoutPayload = (order: Order): ListedOrder => {
  const { payload: _, ...listed } = order
  return { ...listed, metadata: { ...order.metadata } }
}

const matches =
  ({ createdAfter, createdBefore, group, metadata = {}, orderingKey, retrying, status, type }: OrderFilter) =>
  (order: ListedOrder) =>
    (status === undefined || order.status === status) &&
    (type === undefined || order.type === type) &&
    (orderingKey === undefined || order.orderingKey === orderingKey) &&
    (group === undefined || order.group === group) &&
    (retrying !== true || (order.status === "PENDING" && order.retryCount > 0)) &&
    isWithin(order.createdAt, createdAfter, createdBefore) &&
    Object.entries(metadata).every(
      ([key, value]) => Object.hasOwn(order.metadata, key) && order.metadata[key] === value
    )

const oldestDueAge = (lanes: ReadonlyArray<Lane>, at: DateTime.Utc): Duration.Duration | null => {
  const first = earliest(
    lanes.flatMap((lane) => lane.orders.slice(0, Math.min(1, countDueOf(lane, at)))).map(({ dueAt }) => dueAt)
  )
  return first === null ? null : DateTime.distance(first, at)
}

const statsOf = (
  { countOf, deadLetters, inStatus, lanes, orders }: MemoryOrders["Service"],
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
    oldestDueAge: oldestDueAge(lanes(), at),
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
    const { countOf, find, lanes, orders } = memory

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
      whyWaiting: (id, options) =>
        Effect.flatMap(find(id), ({ order }) => atNow((at) => whyWaiting(memory, order, options, at))),
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
        oldestDueAge: oldestDueAge(lanes(), at)
      })),
      stats: atNow((at) => statsOf(memory, at)),
      ping: Effect.void
    })
  })
)
