import { DateTime, Duration, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { Claim } from "../../../application/ports/WorkStore.ts"
import { type OrderRow, toProcessingOrder } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"
import { claimOrders as claimFunction, nextPoll } from "../functions/ClaimOrders.ts"

interface ClaimRow extends OrderRow {
  readonly next_due_ms: number | null
  readonly next_lease_end_ms: number | null
}

const durationOf = (millis: number | null | undefined) =>
  millis === null || millis === undefined ? null : Duration.millis(Math.max(0, millis))

/** Claims due orders in one statement. Also returns when the next claim can find more orders. */
export const claimStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now } = tablesOf(sql, schema)
  const functionOf = ({ name }: { readonly name: string }) => sql.literal(`"${schema}".${name}`)

  return (worker: string, lease: Duration.Duration, max: number) => sql<ClaimRow>`
    WITH next AS MATERIALIZED (
      SELECT (extract(epoch FROM next_due - ${now}) * 1000)::float8 AS next_due_ms,
        (extract(epoch FROM next_lease_end - ${now}) * 1000)::float8 AS next_lease_end_ms
      FROM ${functionOf(nextPoll)}()
    )
    SELECT claimed.*, next.* FROM next
    LEFT JOIN ${functionOf(claimFunction)}(${worker}, ${Duration.toMillis(lease)}::float8 * interval '1 millisecond', ${max})
      AS claimed ON true`
}

/** Compares claimed orders by priority, due time and id. The claim function returns them unsorted. */
const bestFirst = (a: Claim["orders"][number], b: Claim["orders"][number]): number =>
  b.priority - a.priority || DateTime.Order(a.dueAt, b.dueAt) || (a.id < b.id ? -1 : 1)

/** The claim of a worker: the sorted orders, and when the next claim can find more orders. */
export const claimOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const claim = claimStatement(sql, schema)
  return (worker: string, lease: Duration.Duration, max: number) =>
    Effect.map(
      claim(worker, lease, max),
      // If nothing was claimed, there is one row with null columns.
      (rows): Claim => ({
        orders: rows
          .filter(({ id }) => id !== null)
          .map(toProcessingOrder)
          .sort(bestFirst),
        nextDueIn: durationOf(rows[0]?.next_due_ms),
        nextLeaseEndIn: durationOf(rows[0]?.next_lease_end_ms)
      })
    )
}
