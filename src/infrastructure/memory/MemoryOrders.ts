import { Clock, Context, DateTime, Effect, Layer, type Schema } from "effect"
import type { StoredAnswer } from "../../application/ports/IntakeStore.ts"
import { type DeadLetter, deadLetterOf } from "../../domain/DeadLetter.ts"
import { isDue, type Order, type PendingOrder } from "../../domain/Order.ts"
import { type Transition } from "../../domain/OrderTransitions.ts"
import { OrderNotFound } from "../../domain/OrderErrors.ts"
import type { OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"

export interface StoredOrder {
  readonly order: Order
  readonly events: ReadonlyArray<OrderEvent>
}

type InStatus<S extends Order["status"]> = Extract<Order, { readonly status: S }>

/**
 * The state that the memory stores share. It runs the pure transitions of the domain. Order, event and dead letter
 * change in one synchronous step, which is the transaction of these stores.
 */
const make = () => {
  const orders = new Map<OrderId, StoredOrder>()
  // An index by status, so that the cost of a claim does not depend on the number of final orders.
  const byStatus: { readonly [S in Order["status"]]: Map<OrderId, InStatus<S>> } = {
    PENDING: new Map(),
    PROCESSING: new Map(),
    PROCESSED: new Map(),
    FAILED: new Map()
  }
  const deadLetters = new Map<OrderId, DeadLetter>()

  const put = (order: Order, events: StoredOrder["events"]) => {
    const ofStatus: Map<OrderId, Order> = byStatus[order.status]
    ofStatus.set(order.id, order)
    orders.set(order.id, { order, events })
  }

  return {
    orders: orders as ReadonlyMap<OrderId, StoredOrder>,
    deadLetters: deadLetters as ReadonlyMap<OrderId, DeadLetter>,
    /**
     * Orders for which the writes of an attempt are running; these orders are treated like locked rows in
     * PostgreSQL.
     */
    locked: new Set<OrderId>(),
    /** The answers stored under idempotency keys, by scope and key. */
    answers: new Map<string, StoredAnswer & { readonly expiresAt: DateTime.Utc }>(),
    inStatus: <S extends Order["status"]>(status: S): ReadonlyArray<InStatus<S>> =>
      Array.from(byStatus[status].values()),
    countOf: (status: Order["status"]) => byStatus[status].size,
    /** Stores a transition: the order and its event, and adds or deletes its dead letter. */
    store: <To extends Order>(transition: Transition<To>): To => {
      const { event, order } = transition
      const before = orders.get(order.id)
      if (before !== undefined) byStatus[before.order.status].delete(order.id)
      put(order, [...(before?.events ?? []), event])
      const deadLetter = deadLetterOf(transition)
      if (deadLetter === null) deadLetters.delete(order.id)
      else deadLetters.set(order.id, deadLetter)
      return order
    },
    /** Changes the lease of an order, which is not a transition. */
    renew: (order: InStatus<"PROCESSING">) => put(order, orders.get(order.id)?.events ?? []),
    remove: ({ id, status }: Order) => {
      orders.delete(id)
      byStatus[status].delete(id)
      deadLetters.delete(id)
    },
    find: (id: OrderId): Effect.Effect<StoredOrder, OrderNotFound> =>
      Effect.suspend(() => {
        const stored = orders.get(id)
        return stored === undefined ? Effect.fail(new OrderNotFound({ orderId: id })) : Effect.succeed(stored)
      })
  }
}

export class MemoryOrders extends Context.Service<MemoryOrders, ReturnType<typeof make>>()(
  "order-platform/infrastructure/memory/MemoryOrders"
) {
  static readonly layer = Layer.sync(MemoryOrders, make)
}

/** Runs `f` with the current time, in whole milliseconds as in PostgreSQL. */
export const atNow = <A>(f: (at: DateTime.Utc) => A): Effect.Effect<A> =>
  Effect.map(Clock.currentTimeMillis, (millis) => f(DateTime.makeUnsafe(Math.floor(millis))))

/** A deep copy of JSON. For a payload of a few values it takes a fortieth of the time of `structuredClone`. */
const copyJson = (value: Schema.Json): Schema.Json => {
  if (Array.isArray(value)) return value.map(copyJson)
  return typeof value === "object" && value !== null ? copyPayload(value as Schema.JsonObject) : value
}

/** A deep copy of a payload. The spread keeps a key named `__proto__`. */
export const copyPayload = (payload: Schema.JsonObject): Schema.JsonObject => {
  const copy: Record<string, Schema.Json> = { ...payload }
  for (const [key, value] of Object.entries(copy))
    if (typeof value === "object" && value !== null) copy[key] = copyJson(value)
  return copy
}

/** A copy of an order, so that a caller that modifies it does not change the stored order. */
export const copyOf = <O extends Order>(order: O): O => ({
  ...order,
  payload: copyPayload(order.payload),
  metadata: { ...order.metadata }
})

/** Sorts orders as claims take them: by priority descending, then due time, then id. */
export const bestFirst = (a: PendingOrder, b: PendingOrder): number =>
  b.priority - a.priority || DateTime.Order(a.dueAt, b.dueAt) || (a.id < b.id ? -1 : 1)

export const dueAmong = (pending: ReadonlyArray<PendingOrder>, at: DateTime.Utc) =>
  pending.filter((order) => isDue(order, at))

/** The earliest of these times; null if there is none. */
export const earliest = (times: ReadonlyArray<DateTime.Utc>): DateTime.Utc | null =>
  times.length === 0 ? null : times.reduce((a, b) => DateTime.min(a, b))

/** How many of these times are in the ten seconds before `at`, divided by ten. */
export const ratePerSecond = (times: ReadonlyArray<DateTime.Utc>, at: DateTime.Utc): number =>
  times.filter((time) => DateTime.isGreaterThan(time, DateTime.subtract(at, { seconds: 10 }))).length / 10
