import type { DateTime } from "effect"
import type { OrderId } from "./OrderId.ts"
import type { Pause } from "./Pauses.ts"

/**
 * Why a PENDING order does not run now: the first of these reasons that applies, in this sequence. The conditions are
 * those of the claim.
 */
export type WhyWaiting =
  /** Not due yet. */
  | { readonly why: "not due" }
  /** An earlier order of the same type and ordering key is not final. */
  | { readonly why: "behind its key"; readonly orderId: OrderId }
  | { readonly why: "paused"; readonly pause: Pause }
  /** No worker that is alive takes orders of this type. */
  | { readonly why: "no worker for its type" }
  /** In every worker that takes the type its circuit breaker is open, in the first one since `since`. */
  | { readonly why: "breaker is open"; readonly since: DateTime.Utc }
  /** The group has `maxRunning` attempts running. `running` is counted up to `maxRunning`. */
  | { readonly why: "group is full"; readonly running: number; readonly maxRunning: number }
  /** The group has used up its rate; it may start the next order at `nextAt`. */
  | {
      readonly why: "group has used its rate"
      readonly ratePerSecond: number
      readonly nextAt: DateTime.Utc
    }
  /**
   * A worker with a free slot may start it. At least `before` due orders come first: those of higher priorities, and
   * the earlier ones of its own priority, type and group. The count stops at a limit.
   */
  | { readonly why: "no free slot"; readonly before: number }
