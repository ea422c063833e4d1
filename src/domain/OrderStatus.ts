import { Schema } from "effect"

/** The four states of an order. */
export const OrderStatus = Schema.Literals(["PENDING", "PROCESSING", "PROCESSED", "FAILED"])
export type OrderStatus = typeof OrderStatus.Type

/**
 * The state machine as data: the edges of each event. The pure transitions (OrderTransitions.ts), the
 * statements in SQL and a trigger in the database all allow only these edges; a test compares the trigger
 * with `edges`.
 */
export const edges = {
  created: [[null, "PENDING"]],
  started: [["PENDING", "PROCESSING"]],
  completed: [["PROCESSING", "PROCESSED"]],
  retried: [["PROCESSING", "PENDING"]],
  failed: [["PROCESSING", "FAILED"]],
  expired: [
    ["PROCESSING", "PENDING"],
    ["PROCESSING", "FAILED"]
  ],
  released: [["PROCESSING", "PENDING"]],
  snoozed: [["PROCESSING", "PENDING"]],
  reprocessed: [["FAILED", "PENDING"]],
  discarded: [["FAILED", "FAILED"]],
  cancelled: [
    ["PENDING", "FAILED"],
    ["PROCESSING", "FAILED"]
  ],
  hastened: [["PENDING", "PENDING"]]
} as const satisfies Record<string, ReadonlyArray<readonly [OrderStatus | null, OrderStatus]>>

/** Whether the state is final: PROCESSED for good, FAILED until an operator reprocesses the order. */
export const isFinal = (status: OrderStatus): status is "PROCESSED" | "FAILED" =>
  status === "PROCESSED" || status === "FAILED"
