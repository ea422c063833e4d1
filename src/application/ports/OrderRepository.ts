import { Context, Data, type Duration, type Effect } from "effect"
import type { DeadLetter } from "../../domain/DeadLetter.ts"
import type { Lease, NewOrder, Order, Outcome, ProcessingOrder } from "../../domain/Order.ts"
import type {
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrdersUnavailable,
  OrderVersionMismatch
} from "../../domain/OrderErrors.ts"
import type { OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import type {
  DeadLetterFilter,
  ListedOrder,
  Listing,
  OrderFilter,
  Page,
  Stats
} from "../../domain/OrderQueries.ts"
import type { AttemptError, Writes } from "./OrderProcessor.ts"
import type { KeptAnswer, KeyedOrders } from "./KeyedOrders.ts"

// Longer than 150 lines because the whole port is read in one place.

/** The outcome of an attempt, and the order as it was started: its version fences the settle. */
export interface Settlement {
  readonly order: Lease
  readonly outcome: Outcome
}

/** A look at the table: what it started, and when there will be a reason to look again. */
export interface Claim {
  readonly orders: ReadonlyArray<ProcessingOrder>
  /** Until the next order that was not due yet becomes due; null if there is none. */
  readonly nextDueIn: Duration.Duration | null
  /** Until the next lease ends, whoever holds it; zero if one has ended, null if none is held. */
  readonly nextLeaseEndIn: Duration.Duration | null
}

/**
 * What became of a settlement. `settled`: stored now. `repeated`: it had been stored before, by the same worker for the
 * same attempt, and only its answer was lost. `stale`: the order was taken away meanwhile; nothing was changed.
 */
export type SettleResult = "settled" | "repeated" | "stale"

/** The orders that are not final. `oldestDueAge` is how long the one that is due longest has waited; null if none is. */
export interface Backlog {
  readonly pending: number
  readonly processing: number
  readonly oldestDueAge: Duration.Duration | null
}

/** The app's own writes were refused by the database for good, so neither they nor the outcome were stored. */
export class WritesRefused extends Data.TaggedError("WritesRefused")<{ readonly reason: string }> {}

/**
 * The defect that a store dies with where it cannot write an outcome, and the app's writes are not to blame: a bug of
 * ours, which must cost the order nothing.
 */
export class OutcomeNotStorable extends Data.TaggedError("OutcomeNotStorable")<{ readonly cause: unknown }> {}

/**
 * Keeps orders, their history and the dead letter queue as one record: each transition is stored with its event
 * and its entry in one transaction, or not at all, whatever crashes. Time is the store's own clock.
 * Every call may fail with `OrdersUnavailable`; then nothing is known of what was written, and submit, settle,
 * renew and expire may be repeated as they are.
 */
export class OrderRepository extends Context.Service<
  OrderRepository,
  {
    /**
     * Stores new orders, all or none, in the caller's transaction if there is one. An id that is stored already is
     * skipped. The orders of a key are stored, and the key is taken with them, if it is free: never used, or expired.
     * Of two at once with one key the first takes it. Answers what is kept under each key now, in the order given; null
     * where another call is about to take it: ask again. In the caller's transaction that other one is waited for.
     */
    readonly submit: (
      orders: ReadonlyArray<NewOrder>,
      keyed?: ReadonlyArray<KeyedOrders>
    ) => Effect.Effect<ReadonlyArray<KeptAnswer | null>, OrdersUnavailable>

    /** What is kept under this key now, and changes nothing; null if nothing is, or it has expired. */
    readonly keptAnswer: (
      key: Pick<KeyedOrders, "scope" | "key">
    ) => Effect.Effect<KeptAnswer | null, OrdersUnavailable>

    /** Deletes up to `max` keys that have expired, and answers how many those were. */
    readonly forgetAnswers: (max: number) => Effect.Effect<number, OrdersUnavailable>

    /** Whether the calling fiber is inside a transaction of its own on the same store. */
    readonly inTransaction: Effect.Effect<boolean>

    /** Runs the effect once the caller's transaction has committed (never if it rolls back), or now if there is none. */
    readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>

    /** Starts up to `max` of the best due orders: priority descending, then due time, then id. No order is given to two claims. */
    readonly claim: (request: {
      readonly worker: string
      readonly lease: Duration.Duration
      readonly max: number
    }) => Effect.Effect<Claim, OrdersUnavailable>

    /**
     * Writes the outcomes of attempts, each fenced by the version that the attempt was started with. The results are
     * in the order of the settlements; at most one settlement an order.
     */
    readonly settle: (
      settlements: ReadonlyArray<Settlement>
    ) => Effect.Effect<ReadonlyArray<SettleResult>, OrdersUnavailable>

    /**
     * Runs the app's own writes and writes one outcome in the same transaction: both are stored or neither. The
     * writes run only while the order is the attempt's, and are stored only if the result is `settled`; the order's lease
     * can be renewed while they run. May be repeated as it is. Dies with `OutcomeNotStorable` for what is not of the writes.
     */
    readonly settleWith: (
      settlement: Settlement,
      writes: Writes["writes"]
    ) => Effect.Effect<SettleResult, OrdersUnavailable | AttemptError | WritesRefused>

    /** Moves the end of every lease that this worker holds, and answers which orders those are. */
    readonly renew: (
      worker: string,
      lease: Duration.Duration
    ) => Effect.Effect<ReadonlyArray<Lease>, OrdersUnavailable>

    /** Takes up to `max` orders away from workers whose lease ran out, as a failed attempt `WORKER_LOST`. */
    readonly expire: (max: number) => Effect.Effect<ReadonlyArray<Order>, OrdersUnavailable>

    readonly find: (id: OrderId) => Effect.Effect<Order, OrderNotFound | OrdersUnavailable>

    /** The history, oldest first. */
    readonly timeline: (
      id: OrderId
    ) => Effect.Effect<ReadonlyArray<OrderEvent>, OrderNotFound | OrdersUnavailable>

    /**
     * What happened to each of these orders after the version given, oldest first, in the order of the places: at most
     * `maxEach` events of one and `maxAll` together. Of an order that is not there nothing has happened.
     */
    readonly eventsAfter: (
      places: ReadonlyArray<{ readonly id: OrderId; readonly after: number }>,
      limits: { readonly maxEach: number; readonly maxAll: number }
    ) => Effect.Effect<ReadonlyArray<ReadonlyArray<OrderEvent>>, OrdersUnavailable>

    /**
     * How many due orders a claim takes before this one, counted up to the limit; null where the order is not PENDING
     * and due.
     */
    readonly dueBefore: (
      id: OrderId,
      limit: number
    ) => Effect.Effect<number | null, OrderNotFound | OrdersUnavailable>

    /** Orders, by when they were created and then by id. */
    readonly list: (
      page: Page,
      filter?: OrderFilter
    ) => Effect.Effect<Listing<ListedOrder>, OrdersUnavailable>

    /** Dead letters, by when they failed and then by the order's id. */
    readonly deadLetters: (
      page: Page,
      filter?: DeadLetterFilter
    ) => Effect.Effect<Listing<DeadLetter>, OrdersUnavailable>

    readonly deadLetter: (
      id: OrderId
    ) => Effect.Effect<DeadLetter, OrderNotFound | OrderNotInDeadLetterQueue | OrdersUnavailable>

    /** FAILED → PENDING with its entry deleted. Of two at the same time one succeeds. */
    readonly reprocess: (
      id: OrderId,
      options?: { readonly ifVersion?: number }
    ) => Effect.Effect<
      Order,
      OrderNotFound | OrderNotInDeadLetterQueue | OrderVersionMismatch | OrdersUnavailable
    >

    /** Deletes the entry for good; the order stays FAILED. */
    readonly discard: (
      id: OrderId,
      options?: { readonly reason?: string; readonly ifVersion?: number }
    ) => Effect.Effect<
      Order,
      OrderNotFound | OrderNotInDeadLetterQueue | OrderVersionMismatch | OrdersUnavailable
    >

    /**
     * Deletes up to `max` orders in this final state whose last transition is longer ago, the oldest first, each whole:
     * with its history and its entry. None while another process does the same. Answers how many there were.
     */
    readonly deleteOld: (
      status: "PROCESSED" | "FAILED",
      age: Duration.Duration,
      max: number
    ) => Effect.Effect<number, OrdersUnavailable>

    /** What waits and what runs, counted exactly up to 100,000 of each. */
    readonly backlog: Effect.Effect<Backlog, OrdersUnavailable>

    /**
     * How many orders are PENDING, counted no further than one more than `max`, and if they are more: how many became
     * final per second lately.
     */
    readonly pendingLoad: (
      max: number
    ) => Effect.Effect<{ readonly pending: number; readonly drainPerSecond: number }, OrdersUnavailable>

    /** Figures of all orders. What is not final and the dead letters are counted exactly up to 100,000 of each. */
    readonly stats: Effect.Effect<Stats, OrdersUnavailable>

    /** Succeeds if the store answers. */
    readonly ping: Effect.Effect<void, OrdersUnavailable>
  }
>()("order-platform/application/ports/OrderRepository") {}
