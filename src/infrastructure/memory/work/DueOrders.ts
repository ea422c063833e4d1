import { DateTime } from "effect"
import type { PendingOrder } from "../../../domain/Order.ts"

/**
 * The PENDING orders of one priority, type and group that start when they are due, by due time, then id. Pauses,
 * limits and the types of a worker apply to all of them or to none.
 */
export interface Lane {
  readonly priority: number
  readonly type: string
  readonly group: string | null
  readonly orders: ReadonlyArray<PendingOrder>
}

interface MutableLane extends Lane {
  readonly orders: Array<PendingOrder>
}

/** Sorts the orders of one lane as claims take them: by due time, then id. */
export const firstDue = (a: PendingOrder, b: PendingOrder): number =>
  DateTime.toEpochMillis(a.dueAt) - DateTime.toEpochMillis(b.dueAt) ||
  (a.id === b.id ? 0 : a.id < b.id ? -1 : 1)

/** The number of orders at the beginning of a sorted list for which this holds; it holds for no order after them. */
const countFirst = (orders: ReadonlyArray<PendingOrder>, holds: (order: PendingOrder) => boolean): number => {
  let [low, high] = [0, orders.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(orders[middle] as PendingOrder)) low = middle + 1
    else high = middle
  }
  return low
}

/** The number of orders of the lane that are due. They are its first ones. */
export const countDueOf = ({ orders }: Lane, at: DateTime.Utc): number => {
  const now = DateTime.toEpochMillis(at)
  return countFirst(orders, ({ dueAt }) => DateTime.toEpochMillis(dueAt) <= now)
}

/** The number of orders of the lane that are claimed before this one. */
export const countBefore = ({ orders }: Lane, order: PendingOrder): number =>
  countFirst(orders, (other) => firstDue(other, order) < 0)

const nameOf = ({ group, priority, type }: Pick<Lane, "priority" | "type" | "group">) =>
  JSON.stringify([priority, type, group])

/**
 * The PENDING orders that start when they are due, in lanes, so that the cost of a claim depends on the number of lanes
 * and not on the number of orders. An order that waits behind another of its key is not here.
 */
export const makeDueOrders = () => {
  const lanes = new Map<string, MutableLane>()

  return {
    lanes: (): ReadonlyArray<Lane> => Array.from(lanes.values()),
    add: (order: PendingOrder) => {
      const name = nameOf(order)
      const { group, priority, type } = order
      const lane = lanes.get(name) ?? { group, priority, type, orders: [] }
      lanes.set(name, lane)
      lane.orders.splice(countBefore(lane, order), 0, order)
    },
    delete: (order: PendingOrder) => {
      const name = nameOf(order)
      const lane = lanes.get(name)
      if (lane === undefined) return
      const place = countBefore(lane, order)
      if (lane.orders[place]?.id !== order.id) return
      lane.orders.splice(place, 1)
      if (lane.orders.length === 0) lanes.delete(name)
    }
  }
}

export type DueOrders = ReturnType<typeof makeDueOrders>
