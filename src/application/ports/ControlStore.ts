import { Context, type Effect } from "effect"
import type { AuditEntry, Operator } from "../../domain/Audit.ts"
import type { Group, GroupLimits } from "../../domain/Groups.ts"
import type { Order } from "../../domain/Order.ts"
import type {
  OrderNotFound,
  OrdersUnavailable,
  OrderStateConflict,
  OrderVersionMismatch
} from "../../domain/OrderErrors.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import type { Pause, PauseScope } from "../../domain/Pauses.ts"
import type { RegisteredWorker } from "../../domain/Workers.ts"

/**
 * Cancels orders and controls which orders may start. Every change is stored before the call returns, and applies from
 * the next claim on, in every process. A change by an operator and its entry in the audit are stored in one
 * transaction. After `OrdersUnavailable` the result is unknown; every call but `run` may be repeated unchanged.
 */
export class ControlStore extends Context.Service<
  ControlStore,
  {
    /**
     * PENDING → FAILED without a dead letter. For an order that is PROCESSING, stores the request: from then on the
     * order is never retried and never gets a dead letter; it is cancelled unless its attempt completes. A second
     * cancel of the same order succeeds and changes nothing. Fails with `OrderStateConflict` if the order became final
     * without a cancel. Returns the order as it is now.
     */
    readonly cancel: (
      id: OrderId,
      options: { readonly reason: string; readonly ifVersion?: number }
    ) => Effect.Effect<Order, OrderNotFound | OrderStateConflict | OrderVersionMismatch | OrdersUnavailable>

    /**
     * Makes a PENDING order that is not due yet due now. Fails with `OrderStateConflict` if it is not PENDING or
     * already due.
     */
    readonly run: (
      id: OrderId,
      operator?: Operator
    ) => Effect.Effect<Order, OrderNotFound | OrderStateConflict | OrdersUnavailable>

    /** Pauses a scope. A pause of the same scope is replaced, and keeps its `since`. */
    readonly pause: (
      pause: Pick<Pause, "type" | "group" | "reason" | "resumeAt">,
      operator?: Operator
    ) => Effect.Effect<void, OrdersUnavailable>

    /** Ends the pause of exactly this scope. Does nothing, and writes no entry, if there is none. */
    readonly resume: (scope: PauseScope, operator?: Operator) => Effect.Effect<void, OrdersUnavailable>

    /** The pauses in force, oldest first. */
    readonly pauses: Effect.Effect<ReadonlyArray<Pause>, OrdersUnavailable>

    /** Sets the limits of a group, and replaces those set before. */
    readonly setGroupLimits: (
      group: string,
      limits: GroupLimits,
      operator?: Operator
    ) => Effect.Effect<void, OrdersUnavailable>

    /** Removes the limits set for a group, so that it has the default limits. Returns whether there were any. */
    readonly deleteGroupLimits: (
      group: string,
      operator?: Operator
    ) => Effect.Effect<boolean, OrdersUnavailable>

    /** The groups for which limits were set, by name; up to `limit` of them after the group `after`. */
    readonly groups: (page: {
      readonly limit: number
      readonly after: string | null
    }) => Effect.Effect<ReadonlyArray<Group>, OrdersUnavailable>

    /** The workers whose lease has not ended, by start time; at most 1000. */
    readonly workers: Effect.Effect<ReadonlyArray<RegisteredWorker>, OrdersUnavailable>

    /**
     * The types of due orders that no worker in the registry takes, by name; at most 100. The search is bounded, so a
     * type may be missing while thousands of lanes or keys wait for a worker.
     */
    readonly typesWithoutWorker: Effect.Effect<ReadonlyArray<string>, OrdersUnavailable>

    /** The entries of the audit, newest first; up to `limit` entries with a number below `before`. */
    readonly audit: (page: {
      readonly limit: number
      readonly before: number | null
    }) => Effect.Effect<ReadonlyArray<AuditEntry>, OrdersUnavailable>

    /**
     * Runs the effect after the caller's transaction has committed (never if it rolls back), or now if there is none.
     */
    readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  }
>()("order-platform/application/ports/ControlStore") {}
