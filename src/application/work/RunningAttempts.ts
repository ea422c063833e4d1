import type { Fiber } from "effect"
import type { Lease, ProcessingOrder } from "../../domain/Order.ts"

/** An order that this worker started and has not settled. */
export interface InHand {
  readonly order: ProcessingOrder
  /** Its place among those in hand. */
  readonly place: number
  /** What runs for it, from the moment that it does not end at once. */
  fiber: Fiber.Fiber<unknown, unknown> | null
  /** Why that was interrupted, if it was: it took too long, its lease was lost, or the worker stops. */
  interrupted: "late" | "lost" | "stopped" | null
  /** Decided and waiting to be settled: nothing can be lost or released any more. */
  finished: boolean
}

/** Interrupts what runs for an order; the first reason counts. */
export const interrupt = (attempt: InHand, why: "late" | "lost" | "stopped"): void => {
  if (attempt.fiber === null) return
  attempt.interrupted ??= why
  attempt.fiber.interruptUnsafe()
}

/** The orders that a worker has in hand. */
export interface OrdersInHand {
  readonly take: (order: ProcessingOrder) => InHand
  /** Forgets this attempt, and not a later one of the same order. */
  readonly drop: (attempt: InHand) => void
  readonly size: () => number
  readonly all: () => ReadonlyArray<InHand>
  /** Of these leases, the ones that are of no attempt in hand. */
  readonly without: <A extends Lease>(leases: ReadonlyArray<A>) => ReadonlyArray<A>
}

/**
 * No order in hand. They are kept by place and not in a Map, through which every order would go and which keeps what it
 * has forgotten in its old tables (docs/adr/0007).
 */
export const makeOrdersInHand = (): OrdersInHand => {
  const places: Array<InHand | null> = []
  const free: Array<number> = []
  const all = () => places.filter((attempt) => attempt !== null)
  return {
    take: (order) => {
      const place = free.pop() ?? places.length
      return (places[place] = { order, place, fiber: null, interrupted: null, finished: false })
    },
    drop: (attempt) => {
      if (places[attempt.place] !== attempt) return
      places[attempt.place] = null
      free.push(attempt.place)
    },
    size: () => places.length - free.length,
    all,
    without: (leases) => {
      if (leases.length === 0) return leases
      const versions = new Map(all().map(({ order }) => [order.id, order.version]))
      return leases.filter(({ id, version }) => versions.get(id) !== version)
    }
  }
}
