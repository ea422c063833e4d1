import type { SqlClient } from "effect/sql"

/** The qualified names of the tables of one schema, and the call of its clock function, for statements. */
export const tablesOf = (sql: SqlClient.SqlClient, schema: string) => ({
  orders: sql(`${schema}.orders`),
  orderEvents: sql(`${schema}.order_events`),
  deadLetters: sql(`${schema}.dead_letters`),
  orderFailureGroups: sql(`${schema}.order_failure_groups`),
  orderDue: sql(`${schema}.order_due`),
  orderRunning: sql(`${schema}.order_running`),
  orderWorkers: sql(`${schema}.order_workers`),
  orderKeyWaiting: sql(`${schema}.order_key_waiting`),
  orderKeyHeads: sql(`${schema}.order_key_heads`),
  orderKeyChecks: sql(`${schema}.order_key_checks`),
  orderLanes: sql(`${schema}.order_lanes`),
  orderLaneChecks: sql(`${schema}.order_lane_checks`),
  orderGroups: sql(`${schema}.order_groups`),
  orderPauses: sql(`${schema}.order_pauses`),
  orderFinal: sql(`${schema}.order_final`),
  orderAudit: sql(`${schema}.order_audit`),
  idempotencyKeys: sql(`${schema}.idempotency_keys`),
  now: sql.literal(`"${schema}".order_platform_now()`)
})
