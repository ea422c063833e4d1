import type { SqlClient } from "effect/sql"

/** The qualified names of the tables of one schema, and the call of its clock function, for statements. */
export const tablesOf = (sql: SqlClient.SqlClient, schema: string) => ({
  orders: sql(`${schema}.orders`),
  orderEvents: sql(`${schema}.order_events`),
  deadLetters: sql(`${schema}.dead_letters`),
  idempotencyKeys: sql(`${schema}.idempotency_keys`),
  now: sql.literal(`"${schema}".order_platform_now()`)
})
