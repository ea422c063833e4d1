import { Duration } from "effect"
import type { SqlClient } from "effect/sql"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/** Starts the best due orders, and says when there will be a reason to look again: one statement a look. */
export const makeStartOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const { now } = tablesOf(sql, schema)
  const claimFunction = sql.literal(`"${schema}".order_platform_claim`)
  const nextLookFunction = sql.literal(`"${schema}".order_platform_next_look`)

  const claim = (worker: string, lease: Duration.Duration, max: number) => sql<
    OrderRow & { readonly next_due_ms: number | null; readonly next_lease_end_ms: number | null }
  >`
    WITH next AS MATERIALIZED (
      SELECT (extract(epoch FROM next_due - ${now}) * 1000)::float8 AS next_due_ms,
        (extract(epoch FROM next_lease_end - ${now}) * 1000)::float8 AS next_lease_end_ms
      FROM ${nextLookFunction}()
    )
    SELECT claimed.*, next.* FROM next
    LEFT JOIN ${claimFunction}(${worker}, ${Duration.toMillis(lease)}::float8 * interval '1 millisecond', ${max}) AS claimed ON true`

  return { claim }
}
