import type { DeadLetter } from "../../src/domain/DeadLetter.ts"
import type { NewOrder, Order } from "../../src/domain/Order.ts"
import type { OrderEvent } from "../../src/domain/OrderEvent.ts"
import type { OrderId } from "../../src/domain/OrderId.ts"

/** What the processor does in one run of an order. */
export type Behaviour =
  | { readonly does: "succeed" | "hang" | "throw" | "fail permanently" | "fail" }
  | { readonly does: "fail with delay" | "snooze" | "be slow"; readonly millis: number }
  | { readonly does: "write and fail" | "write and fail permanently" }
  | { readonly does: "write and snooze"; readonly millis: number }

/** An order and the behaviour of its runs, in order; the last one repeats. */
export interface Plan {
  readonly order: NewOrder
  readonly behaviours: ReadonlyArray<Behaviour>
  /** A run that succeeds returns writes. */
  readonly writes: boolean
  /** Its payload does not fit the schema, so it never runs. */
  readonly undecodable: boolean
}

/** The facts of a history, in order. The oracle judges by them. */
export type Fact =
  | { readonly fact: "answered"; readonly id: OrderId }
  | { readonly fact: "reprocess answered"; readonly id: OrderId }
  /** The order was submitted or reprocessed, and has the last place of its ordering key. */
  | { readonly fact: "placed"; readonly id: OrderId }
  /** A cancel was stored: of this version if the order is PROCESSING, else as this version. */
  | {
      readonly fact: "cancel stored"
      readonly id: OrderId
      readonly version: number
      readonly status: Order["status"]
    }
  /** Its submit ended with a defect. */
  | { readonly fact: "refused"; readonly id: OrderId }
  | { readonly fact: "announced"; readonly process: string; readonly isStored: boolean }
  | {
      readonly fact: "claimed"
      readonly at: number
      readonly worker: string
      readonly id: OrderId
      readonly version: number
      readonly dueAt: number
      /** The number of facts when the worker received the reply; Infinity if it never did. */
      readonly reply: { delivered: number }
    }
  /**
   * The worker got a reply that it is not expired. A heartbeat extends its lease, a claim if less than half of it is
   * left.
   */
  | {
      readonly fact: "alive"
      readonly at: number
      readonly worker: string
      readonly call: "claim" | "renew"
    }
  | {
      readonly fact: "expired"
      readonly at: number
      readonly id: OrderId
      readonly version: number
      readonly status: Order["status"]
    }
  | {
      readonly fact: "settled"
      readonly id: OrderId
      readonly version: number
      readonly worker: string
      readonly event: string
      readonly result: string
      /** Whether the order is final after it. */
      readonly isFinal: boolean
    }
  | {
      readonly fact: "ran"
      readonly worker: string
      readonly id: OrderId
      readonly attempt: number
      readonly run: number
      readonly does: Behaviour["does"]
    }
  /** Until then its heartbeat may be late: it was frozen, delayed, refused or overtaken by a clock jump. */
  | { readonly fact: "disturbed"; readonly worker: string; readonly until: number }
  | { readonly fact: "stopping"; readonly worker: string; readonly at: number }
  | { readonly fact: "stopped"; readonly worker: string; readonly at: number }
  | { readonly fact: "crashed"; readonly worker: string }

/** A ledger line written by an order's writes. */
export interface Line {
  readonly id: OrderId
  readonly line: "debit" | "credit"
}

/** An order as stored at the end. */
export interface Stored {
  readonly order: Order
  readonly events: ReadonlyArray<OrderEvent>
}

/** A worker that still runs at the end. It must have no order in flight and all slots free. */
export interface Idle {
  readonly worker: string
  readonly inFlight: number
  readonly freeSlots: number
}

/** A complete history for the oracle. */
export interface History {
  readonly plans: ReadonlyMap<OrderId, Plan>
  readonly facts: ReadonlyArray<Fact>
  readonly stored: ReadonlyMap<OrderId, Stored>
  readonly deadLetters: ReadonlyArray<DeadLetter>
  readonly ledger: ReadonlyArray<Line>
  readonly idle: ReadonlyArray<Idle>
  readonly staleCounted: number
}

/** The process of a worker id: `w1` of `w1#2`. */
export const processOf = (worker: string): string => worker.replace(/#.*/, "")

/** The limits of groups. Orders of other groups have none. */
export const groupLimits = {
  narrow: { maxRunning: 2, ratePerSecond: null },
  slow: { maxRunning: null, ratePerSecond: 2 }
} as const

/** The settings of all simulated workers; the oracle uses them too. */
export const figures = {
  concurrency: 3,
  leaseMs: 7500,
  claimTimeoutMs: 2500,
  attemptTimeoutMs: 8000,
  pollMs: 5000,
  drainMs: 3000,
  retryDelayMs: 500,
  retryMaxDelayMs: 2500,
  retryJitter: 0.2
}
