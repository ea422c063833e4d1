import { Context, type Effect } from "effect"
import type { Operator } from "../../domain/Audit.ts"
import type { DeadLetter } from "../../domain/DeadLetter.ts"
import type { FailureGroup, FailureGroupPosition } from "../../domain/FailureGroup.ts"
import type { Order } from "../../domain/Order.ts"
import type {
  FailureGroupNotFound,
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrdersUnavailable,
  OrderVersionMismatch
} from "../../domain/OrderErrors.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import type { DeadLetterFilter, Listing, Page } from "../../domain/OrderQueries.ts"

/**
 * The dead letter queue. An entry exists exactly while its order is FAILED and not discarded. Reprocess and discard
 * store the order, its event, the deletion of the entry and the entry of the audit in one transaction, or nothing.
 * After `OrdersUnavailable` their result is unknown: a second call fails with `OrderNotInDeadLetterQueue` if the first
 * one succeeded. Entries are added by the calls of `WorkStore` that end an attempt, settle and expire
 * (postgres/functions/AddDeadLetters.ts). Each entry belongs to a failure group, whose count changes in the transaction
 * that adds or deletes the entry.
 */
export class DeadLetterStore extends Context.Service<
  DeadLetterStore,
  {
    /** A page of dead letters, newest first: by time of failure, then order id. */
    readonly list: (
      page: Page,
      filter?: DeadLetterFilter
    ) => Effect.Effect<Listing<DeadLetter>, OrdersUnavailable>

    readonly find: (
      id: OrderId
    ) => Effect.Effect<DeadLetter, OrderNotFound | OrderNotInDeadLetterQueue | OrdersUnavailable>

    /** FAILED → PENDING; deletes the entry. Of two concurrent calls one succeeds. */
    readonly reprocess: (
      id: OrderId,
      options?: { readonly ifVersion?: number; readonly operator?: Operator }
    ) => Effect.Effect<
      Order,
      OrderNotFound | OrderNotInDeadLetterQueue | OrderVersionMismatch | OrdersUnavailable
    >

    /** Deletes the entry for good; the order stays FAILED. */
    readonly discard: (
      id: OrderId,
      options?: { readonly reason?: string; readonly ifVersion?: number; readonly operator?: Operator }
    ) => Effect.Effect<
      Order,
      OrderNotFound | OrderNotInDeadLetterQueue | OrderVersionMismatch | OrdersUnavailable
    >

    /**
     * The failure groups that have entries, the largest first, those of the same count by fingerprint; up to `limit` of
     * them after the position.
     */
    readonly failureGroups: (
      page: Page<FailureGroupPosition>
    ) => Effect.Effect<ReadonlyArray<FailureGroup>, OrdersUnavailable>

    /**
     * Marks a failure group as fixed from now on, also one without entries, and replaces an earlier mark. The group
     * regresses with the next entry that is added by a process that was registered after the mark or, if the mark has a
     * version, by one that reports this version. The mark and the entry of the audit are stored in one transaction.
     */
    readonly markFixed: (
      fingerprint: string,
      options?: { readonly version?: string; readonly reason?: string; readonly operator?: Operator }
    ) => Effect.Effect<FailureGroup, FailureGroupNotFound | OrdersUnavailable>

    /**
     * Runs the effect after the caller's transaction has committed (never if it rolls back), or now if there
     * is no transaction.
     */
    readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  }
>()("order-platform/application/ports/DeadLetterStore") {}
