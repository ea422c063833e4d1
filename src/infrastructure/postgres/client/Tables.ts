import type { SqlClient } from "effect/sql"

/** What the statements call the tables and the clock of one schema. */
export const tablesOf = (sql: SqlClient.SqlClient, schema: string) => ({
  orders: sql(`${schema}.orders`),
  orderEvents: sql(`${schema}.order_events`),
  deadLetters: sql(`${schema}.dead_letters`),
  idempotencyKeys: sql(`${schema}.idempotency_keys`),
  now: sql.literal(`"${schema}".order_platform_now()`)
})
