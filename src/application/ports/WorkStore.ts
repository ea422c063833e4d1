import { Context, Data, type Duration, type Effect } from "effect"
import type { GroupLimits } from "../../domain/Groups.ts"
import type { HeldOrder, Order, Outcome, ProcessingOrder } from "../../domain/Order.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import type { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import type { WorkerReport } from "../../domain/Workers.ts"
import type { AttemptError, Writes } from "./OrderProcessor.ts"

/**
 * The outcome of an attempt, and the order as it was when the attempt started: `order.version` is the fencing
 * token of `settle`.
 */
export interface Settlement {
  readonly order: HeldOrder
  readonly outcome: Outcome
}

/**
 * For each priority, the group that was served last; null means the orders without a group. The groups take turns in
 * the sequence of their names (by code point); after the last name the first one is next. Orders without a group count
 * as one group, which comes first. A priority without an entry begins with the first group.
 */
export type Turns = Readonly<Record<number, string | null>>

/** What a worker asks for. */
export interface ClaimRequest {
  readonly worker: string
  /** The duration of the worker's lease. The claim renews the lease if less than half of this time is left. */
  readonly lease: Duration.Duration
  readonly max: number
  /** The order types to take; absent: every type. */
  readonly types?: ReadonlyArray<string>
  /**
   * The maximum number of orders of these types; 0 excludes a type. A type without an entry has only the limit `max`.
   */
  readonly maxOfType?: Readonly<Record<string, number>>
  /** The `turns` of the last claim of this process. */
  readonly turns?: Turns
  /** The limits of groups for which none were set. */
  readonly defaultLimits?: GroupLimits
}

/** The result of a claim: the started orders, and when the next claim can find more. */
export interface Claim {
  readonly orders: ReadonlyArray<ProcessingOrder>
  /** To be passed to the next claim of this process. */
  readonly turns: Turns
  /**
   * Whether orders that may start now can be left although fewer than `max` were started: another claim held their
   * group, or this claim reached the limit of what it examines. Claim again soon.
   */
  readonly isIncomplete: boolean
  /**
   * The time until a further order can start without any other event: it becomes due, the rate of its group allows the
   * next start, or a pause ends. Null if there is no such time. Orders that wait for anything else do not count.
   */
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

/**
 * The worker's lease ended and another worker expired it. Its orders are no longer held. The process must take a new
 * worker id.
 */
export class WorkerExpired extends Data.TaggedError("WorkerExpired")<{ readonly worker: string }> {}

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
     * Starts up to `max` of the orders that may run, and returns them in the sequence in which they were chosen:
     * priority descending; within a priority the groups take turns, one order each; within a group by due time, then
     * id. An order may run if it is due, is the first of its ordering key that is not final, is not paused, and its
     * group has not reached its limits. Concurrent claims never return the same order and never exceed a limit
     * together. The first claim of a worker registers it.
     */
    readonly claim: (request: ClaimRequest) => Effect.Effect<Claim, OrdersUnavailable | WorkerExpired>

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

    /**
     * Extends the lease of this worker, stores its report, and returns the orders that it holds. Registers a worker
     * that the store does not know.
     */
    readonly renew: (
      worker: string,
      lease: Duration.Duration,
      report?: WorkerReport
    ) => Effect.Effect<ReadonlyArray<HeldOrder>, OrdersUnavailable | WorkerExpired>

    /** The orders that this worker holds and whose cancel was requested. */
    readonly findCancelRequests: (worker: string) => Effect.Effect<ReadonlyArray<OrderId>, OrdersUnavailable>

    /** Removes a worker that holds no orders from the registry. Does nothing if it holds orders. */
    readonly deregister: (worker: string) => Effect.Effect<void, OrdersUnavailable>

    /**
     * Expires up to `max` orders of workers whose lease has ended. Each counts as a failed attempt with the reason code
     * `WORKER_LOST`. The store refuses a worker once one of its orders has expired, and removes it from the registry
     * with the last one.
     */
    readonly expire: (max: number) => Effect.Effect<ReadonlyArray<Order>, OrdersUnavailable>
  }
>()("order-platform/application/ports/WorkStore") {}
