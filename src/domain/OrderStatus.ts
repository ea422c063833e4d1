import { Schema } from "effect"

/** The four states of an order. */
export const OrderStatus = Schema.Literals(["PENDING", "PROCESSING", "PROCESSED", "FAILED"])
export type OrderStatus = typeof OrderStatus.Type

/**
 * The state machine as data: each event with the edges it may take. The pure transitions in `Order.ts`, the
 * conditions in SQL and the guard inside the database all follow this table; a test holds the guard against it.
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
  discarded: [["FAILED", "FAILED"]]
} as const satisfies Record<string, ReadonlyArray<readonly [OrderStatus | null, OrderStatus]>>

/** Whether an order in this state is done: nothing but an operator's reprocess moves it again. */
export const isFinal = (status: OrderStatus): status is "PROCESSED" | "FAILED" =>
  status === "PROCESSED" || status === "FAILED"
