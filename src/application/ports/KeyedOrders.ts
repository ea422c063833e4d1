import type { Duration } from "effect"
import type { NewOrder } from "../../domain/Order.ts"

/** The orders of a request with a key, and what its repetitions are answered. */
export interface KeyedOrders {
  /** Where the key is unique: the caller and the call. */
  readonly scope: string
  readonly key: string
  /** By it two requests are told to be the same. Text that the store does not look into. */
  readonly fingerprint: string
  /** A UUID of this call alone: by it the call knows its own key again when only the answer of the store was lost. */
  readonly taker: string
  /** Stored if the key is taken by this call, and else not. */
  readonly orders: ReadonlyArray<NewOrder>
  /** Kept with the key for so long, whatever becomes of the orders. Text that the store does not look into. */
  readonly answer: string
  readonly keepFor: Duration.Duration
}

/** What is kept under a key: of the call that took it. */
export type KeptAnswer = Pick<KeyedOrders, "answer" | "fingerprint" | "taker">
