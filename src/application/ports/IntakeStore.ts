import { Context, type Duration, type Effect } from "effect"
import type { NewOrder } from "../../domain/Order.ts"
import type { OrdersUnavailable, TextNotStorable } from "../../domain/OrderErrors.ts"

/** The orders of a request that carries an idempotency key, and the answer for its repetitions. */
export interface KeyedOrders {
  /** The caller and the call: a key is unique within its scope. */
  readonly scope: string
  readonly key: string
  /** Two requests with the same fingerprint are the same request. Opaque to the store. */
  readonly fingerprint: string
  /**
   * A UUID of this call, by which a repetition after a lost reply recognises that the key was taken by the same call.
   */
  readonly requestId: string
  /** Stored only if this call takes the key. */
  readonly orders: ReadonlyArray<NewOrder>
  /** Stored with the key for `keepFor`, even if the orders are deleted before. Opaque to the store. */
  readonly answer: string
  readonly keepFor: Duration.Duration
}

/** What is stored under a key, by the call that took it. */
export type StoredAnswer = Pick<KeyedOrders, "answer" | "fingerprint" | "requestId">

/**
 * Stores new orders, each with its first event in one transaction, or not at all. Time is the store's own clock. After
 * `OrdersUnavailable` the result is unknown; every call may be repeated unchanged.
 */
export class IntakeStore extends Context.Service<
  IntakeStore,
  {
    /**
     * Stores new orders, all or none, in the caller's transaction if there is one. An id that is already stored is
     * skipped. The orders of a key are stored if the key is free (never used, or expired), and take it; of two
     * concurrent calls with one key, one takes it. Returns what is stored under each key now, in the order given; null
     * where another call is taking the key, so that this call should be repeated. Inside the caller's transaction it
     * waits for the other call instead.
     */
    readonly submit: (
      orders: ReadonlyArray<NewOrder>,
      keyed?: ReadonlyArray<KeyedOrders>
    ) => Effect.Effect<ReadonlyArray<StoredAnswer | null>, OrdersUnavailable | TextNotStorable>

    /** The answer stored under this key; null if there is none or it has expired. Changes nothing. */
    readonly findAnswer: (
      key: Pick<KeyedOrders, "scope" | "key">
    ) => Effect.Effect<StoredAnswer | null, OrdersUnavailable>

    /**
     * The number of PENDING orders that are due, counted up to `max + 1`, and, if they are more than `max`, how many
     * orders per second became final recently.
     */
    readonly countDue: (
      max: number
    ) => Effect.Effect<{ readonly due: number; readonly drainPerSecond: number }, OrdersUnavailable>

    /**
     * The number of PENDING orders that are not due yet, counted up to `max + 1`, and, if they are more than `max`, the
     * time until the next `room` of them are due: infinity if it is longer than an hour.
     */
    readonly countScheduled: (
      max: number,
      room: number
    ) => Effect.Effect<{ readonly scheduled: number; readonly roomIn: Duration.Duration }, OrdersUnavailable>

    /** Whether the calling fiber is in a transaction on the same store. */
    readonly inTransaction: Effect.Effect<boolean>

    /** Runs the effect after the caller's transaction has committed (never if it rolls back), or now if there is none. */
    readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  }
>()("order-platform/application/ports/IntakeStore") {}
