import { Context, Data, type Duration, type Effect } from "effect"
import type { Lease, Order, Outcome, ProcessingOrder } from "../../domain/Order.ts"
import type { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import type { AttemptError, Writes } from "./OrderProcessor.ts"

/**
 * The outcome of an attempt, and the order as it was when the attempt started: `order.version` is the fencing
 * token of `settle`.
 */
export interface Settlement {
  readonly order: Lease
  readonly outcome: Outcome
}

/** The result of a claim: the started orders, and when the next claim can find more. */
export interface Claim {
  readonly orders: ReadonlyArray<ProcessingOrder>
  /** Time until the next scheduled order becomes due; null if there is none. */
  readonly nextDueIn: Duration.Duration | null
  /**
   * Time until the next lease of any worker ends; zero if a lease has already ended, null if no worker holds
   * a lease.
   */
  readonly nextLeaseEndIn: Duration.Duration | null
}

/**
 * The result of a settlement. `settled`: stored now. `repeated`: the same worker had already stored the
 * outcome of this attempt, and the reply to that call was lost. `stale`: the order had changed since the
 * attempt started, so the worker had lost it; nothing was stored.
 */
export type SettleResult = "settled" | "repeated" | "stale"

/** The database refused the app's own writes permanently; neither they nor the outcome were stored. */
export class WritesRefused extends Data.TaggedError("WritesRefused")<{ readonly reason: string }> {}

/**
 * A defect: the store cannot write an outcome, and the app's writes are not the cause. This is a bug of the
 * store, so it must not count as a failed attempt.
 */
export class OutcomeNotStorable extends Data.TaggedError("OutcomeNotStorable")<{ readonly cause: unknown }> {}

/**
 * Moves orders through their attempts. Each change of an order's status is stored with its event, and with
 * the dead letter if the order becomes FAILED, in one transaction, or not at all. Time is the store's own
 * clock. After `OrdersUnavailable` the result is unknown; settle, settleWithWrites, renew and expire may be
 * repeated unchanged. If the reply to a claim is lost, its orders stay PROCESSING until they are released or
 * their leases end.
 */
export class WorkStore extends Context.Service<
  WorkStore,
  {
    /**
     * Starts up to `max` due orders: the first ones by priority descending, then due time, then id. Concurrent claims
     * never return the same order.
     */
    readonly claim: (request: {
      readonly worker: string
      readonly lease: Duration.Duration
      readonly max: number
    }) => Effect.Effect<Claim, OrdersUnavailable>

    /**
     * Writes the outcomes of attempts, each fenced by the version the attempt started with. There may be only
     * one settlement per order. Returns the results in the sequence of the settlements.
     */
    readonly settle: (
      settlements: ReadonlyArray<Settlement>
    ) => Effect.Effect<ReadonlyArray<SettleResult>, OrdersUnavailable>

    /**
     * Runs the app's own writes and stores one outcome, in one transaction: both or neither. The writes run
     * only if the order has not changed since the attempt started, and are stored only if the result is
     * `settled`. The lease can be renewed while they run. Dies with `OutcomeNotStorable` if the outcome
     * itself cannot be stored.
     */
    readonly settleWithWrites: (
      settlement: Settlement,
      writes: Writes["writes"]
    ) => Effect.Effect<SettleResult, OrdersUnavailable | AttemptError | WritesRefused>

    /** Extends every lease of this worker, and returns the leases. */
    readonly renew: (
      worker: string,
      lease: Duration.Duration
    ) => Effect.Effect<ReadonlyArray<Lease>, OrdersUnavailable>

    /**
     * Expires up to `max` orders whose lease has ended. Each counts as a failed attempt with the reason code
     * `WORKER_LOST`.
     */
    readonly expire: (max: number) => Effect.Effect<ReadonlyArray<Order>, OrdersUnavailable>
  }
>()("order-platform/application/ports/WorkStore") {}
