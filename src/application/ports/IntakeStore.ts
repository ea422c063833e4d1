import { Context, type Duration, type Effect } from "effect"
import type { NewOrder } from "../../domain/Order.ts"
import type { OrdersUnavailable, TextNotStorable } from "../../domain/OrderErrors.ts"

/** The orders of a request that carries an idempotency key, and the answer for its repetitions. */
export interface KeyedOrders {
  /** A key is unique within its scope, for example the caller and the operation. */
  readonly scope: string
  readonly key: string
  /** Two requests with the same fingerprint are the same request. Opaque to the store. */
  readonly fingerprint: string
  /**
   * A UUID of this call. If a reply of the store is lost and the call is repeated, the UUID shows that this
   * call took the key.
   */
  readonly requestId: string
  /** Stored only if this call takes the key. */
  readonly orders: ReadonlyArray<NewOrder>
  /** Stored with the key for `keepFor`, even if the orders are deleted earlier. Opaque to the store. */
  readonly answer: string
  readonly keepFor: Duration.Duration
}

/** The part of a call that is stored under its key. */
export type StoredAnswer = Pick<KeyedOrders, "answer" | "fingerprint" | "requestId">

/**
 * Stores new orders, each with its first event in one transaction, or not at all. Time is the store's own clock. After
 * `OrdersUnavailable` the result is unknown; every call may be repeated unchanged.
 */
export class IntakeStore extends Context.Service<
  IntakeStore,
  {
    /**
     * Stores new orders, all or none, in the caller's transaction if there is one. An order whose id is
     * already stored is skipped. If a key is free (never used, or expired), the call takes the key and stores
     * the orders of the key. Of two concurrent calls with the same key, one takes the key. Returns what is
     * now stored under each key, in the sequence of `keyed`, or null for a key that another call is taking;
     * after a null, repeat the call. Inside the caller's transaction, `submit` waits for the other call
     * instead of returning null.
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
     * The number of PENDING orders that are due or wait behind another order of their key, counted up to `max + 1`. If
     * there are more than `max`, also the recent rate at which orders became final.
     */
    readonly countDue: (
      max: number
    ) => Effect.Effect<{ readonly due: number; readonly drainPerSecond: number }, OrdersUnavailable>

    /**
     * The number of PENDING orders that are not due yet and do not wait behind another order of their key, counted up
     * to `max + 1`. If there are more than `max`, also the time until `room` of them have become due; infinity if that
     * takes longer than an hour.
     */
    readonly countScheduled: (
      max: number,
      room: number
    ) => Effect.Effect<{ readonly scheduled: number; readonly roomIn: Duration.Duration }, OrdersUnavailable>

    /**
     * For each of these groups, the number of its PENDING orders, counted up to `max + 1`. `max` is the `maxPending`
     * that was set for the group, else `defaultMax`. A group with neither is left out.
     */
    readonly countPendingOfGroups: (
      groups: ReadonlyArray<string>,
      defaultMax: number | null
    ) => Effect.Effect<
      ReadonlyArray<{ readonly group: string; readonly pending: number; readonly maxPending: number }>,
      OrdersUnavailable
    >

    /** Whether the calling fiber is in a transaction on the same store. */
    readonly inTransaction: Effect.Effect<boolean>

    /**
     * Runs the effect after the caller's transaction has committed (never if it rolls back), or now if there
     * is no transaction.
     */
    readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  }
>()("order-platform/application/ports/IntakeStore") {}
