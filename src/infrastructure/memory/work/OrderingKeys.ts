import { isFinal } from "../../../domain/OrderStatus.ts"
import type { Order } from "../../../domain/Order.ts"
import type { OrderId } from "../../../domain/OrderId.ts"

interface OrderingKey {
  /** The one order of the key that may run, until it is final; null until a claim chooses the next. */
  head: OrderId | null
  /** The others in the sequence of their places, which is the one in which they were added. */
  readonly waiting: Set<OrderId>
}

/** The orders of each type and ordering key, of which only the first that is not final may run. */
export const makeOrderingKeys = () => {
  const keys = new Map<string, OrderingKey>()
  /** The keys that have waiting orders but no head. */
  const headless = new Set<string>()

  const nameOf = ({ orderingKey, type }: Order) => JSON.stringify([type, orderingKey])
  const firstOf = ({ waiting }: OrderingKey): OrderId | undefined => waiting.values().next().value

  /** The keys without a head, each with its first order. */
  const next = () =>
    Array.from(headless).flatMap((name) => {
      const key = keys.get(name)
      const first = key === undefined ? undefined : firstOf(key)
      return key === undefined || first === undefined ? [] : [{ key, first }]
    })

  return {
    /** Whether the order need not wait for another one of its key: it has no key, or a claim made it the head. */
    isFree: (order: Order) => order.orderingKey === null || keys.get(nameOf(order))?.head === order.id,
    /**
     * The order that this one waits for: the head of its key, or the next head if there is none; null if it waits for
     * none.
     */
    ahead: (order: Order): OrderId | null => {
      const key = keys.get(nameOf(order))
      const ahead = key === undefined ? undefined : (key.head ?? firstOf(key))
      return ahead === undefined || ahead === order.id ? null : ahead
    },
    /** Follows a transition of an order: a new one draws a place, a final one leaves its key. */
    follow: (order: Order) => {
      if (order.orderingKey === null) return
      const name = nameOf(order)
      const key = keys.get(name) ?? { head: null, waiting: new Set() }
      keys.set(name, key)
      if (isFinal(order.status)) {
        key.waiting.delete(order.id)
        if (key.head === order.id) key.head = null
      } else if (key.head !== order.id) key.waiting.add(order.id)
      if (key.head === null && key.waiting.size > 0) headless.add(name)
      else headless.delete(name)
      if (key.head === null && key.waiting.size === 0) keys.delete(name)
    },
    /** The orders that the next claim makes the heads of their keys. */
    next: (): ReadonlyArray<OrderId> => next().map(({ first }) => first),
    /** Makes the first waiting order of each key without a head its head, and returns these orders. */
    promote: (): ReadonlyArray<OrderId> => {
      const heads = next()
      for (const { first, key } of heads) {
        key.waiting.delete(first)
        key.head = first
      }
      headless.clear()
      return heads.map(({ first }) => first)
    },
    /** The number of orders that no claim has made the head of their key. */
    countWaiting: () => Array.from(keys.values()).reduce((sum, { waiting }) => sum + waiting.size, 0)
  }
}
