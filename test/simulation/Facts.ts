import type { DeadLetter } from "../../src/domain/DeadLetter.ts"
import type { NewOrder, Order } from "../../src/domain/Order.ts"
import type { OrderEvent } from "../../src/domain/OrderEvent.ts"
import type { OrderId } from "../../src/domain/OrderId.ts"

/** What the processor does in one run of one order. */
export type Behaviour =
  | { readonly does: "succeed" | "never end" | "throw" | "fail for good" | "fail" }
  | { readonly does: "fail for a while" | "snooze" | "be slow"; readonly millis: number }
  | { readonly does: "write and fail" | "write and fail for good" }
  | { readonly does: "write and snooze"; readonly millis: number }

/** An order of a history with what its runs do, one after the other; the last is repeated. */
export interface Plan {
  readonly order: NewOrder
  readonly behaviours: ReadonlyArray<Behaviour>
  /** A run that succeeds returns writes. */
  readonly writes: boolean
  /** Its payload does not fit the schema, so it never runs. */
  readonly undecodable: boolean
}

/** What happened in the world, in the order in which it did; what the oracle judges by. */
export type Fact =
  | { readonly fact: "answered"; readonly id: OrderId }
  | { readonly fact: "reprocess answered"; readonly id: OrderId }
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
      /** How many facts there were when the worker had received the reply; Infinity if it never did. */
      readonly reply: { delivered: number }
    }
  | { readonly fact: "renewed"; readonly at: number; readonly id: OrderId; readonly version: number }
  | { readonly fact: "expired"; readonly at: number; readonly id: OrderId; readonly version: number }
  | {
      readonly fact: "settled"
      readonly id: OrderId
      readonly version: number
      readonly worker: string
      readonly event: string
      readonly result: string
    }
  | {
      readonly fact: "ran"
      readonly worker: string
      readonly id: OrderId
      readonly attempt: number
      readonly run: number
      readonly does: Behaviour["does"]
    }
  /** Its heartbeat could not do its work until then: frozen, delayed, refused or passed over by the clock. */
  | { readonly fact: "disturbed"; readonly worker: string; readonly until: number }
  | { readonly fact: "stopping"; readonly worker: string; readonly at: number }
  | { readonly fact: "stopped"; readonly worker: string; readonly at: number }
  | { readonly fact: "crashed"; readonly worker: string }

/** A line that an order's writes have put into the ledger. */
export interface Line {
  readonly id: OrderId
  readonly line: "debit" | "credit"
}

/** An order as it is stored in the end. */
export interface Stored {
  readonly order: Order
  readonly events: ReadonlyArray<OrderEvent>
}

/** A worker that lives to the end: nothing of it may be in use any more. */
export interface Idle {
  readonly worker: string
  readonly inFlight: number
  readonly freeSlots: number
}

/** A whole history, ready to be judged. */
export interface History {
  readonly plans: ReadonlyMap<OrderId, Plan>
  readonly facts: ReadonlyArray<Fact>
  readonly stored: ReadonlyMap<OrderId, Stored>
  readonly deadLetters: ReadonlyArray<DeadLetter>
  readonly ledger: ReadonlyArray<Line>
  readonly idle: ReadonlyArray<Idle>
  readonly staleCounted: number
}

/** How all simulated workers work; the oracle knows these figures, too. */
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
