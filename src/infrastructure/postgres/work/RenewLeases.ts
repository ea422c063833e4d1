import { DateTime, Duration, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { WorkerExpired } from "../../../application/ports/WorkStore.ts"
import type { HeldOrder } from "../../../domain/Order.ts"
import type { OpenBreaker, WorkerReport } from "../../../domain/Workers.ts"
import { texts } from "../client/Columns.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"
import { heldOrders } from "../functions/HeldOrders.ts"

type HeldRow = Pick<OrderRow, "id" | "version" | "retry_count" | "updated_at" | "cancel_requested"> & {
  readonly worker: string
}

/** If the worker holds no order there is one row, whose `id` is null. */
type RenewedRow = HeldRow | { readonly id: null }

const toHeldOrder = (row: HeldRow): HeldOrder => ({
  id: row.id,
  version: row.version,
  retryCount: row.retry_count,
  worker: row.worker,
  updatedAt: DateTime.fromDateUnsafe(row.updated_at),
  cancelRequested: row.cancel_requested
})

/** The columns of a worker's report. */
const reported = ["host", "version", "role", "types", "capacity", "in_flight", "draining", "breakers"]

const viewBreaker = ({ since, ...breaker }: OpenBreaker) => ({ ...breaker, since: DateTime.formatIso(since) })

/**
 * Extends the lease of a worker and returns the orders that it holds, in one statement. Returns no row if the worker
 * was expired. Without a report, the stored one is kept.
 */
export const renewStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderWorkers } = tablesOf(sql, schema)
  const held = sql.literal(`"${schema}".${heldOrders.name}`)
  return (worker: string, lease: Duration.Duration, report: WorkerReport | undefined) => {
    const until = sql`${now} + ${Duration.toMillis(lease)}::float8 * interval '1 millisecond'`
    const columns = sql.literal(reported.join(", "))
    const values =
      report === undefined
        ? null
        : sql`${report.host}::text, ${report.version}::text, ${report.role}::text,
          ${report.types === null ? null : texts(report.types)}::text[], ${report.capacity}::int, ${report.inFlight}::int,
          ${report.draining}::boolean, ${JSON.stringify(report.breakers.map(viewBreaker))}::jsonb`
    const excluded = sql.literal(reported.map((column) => `, ${column} = excluded.${column}`).join(""))
    return sql<RenewedRow>`
    WITH renewed AS (
      INSERT INTO ${orderWorkers} AS w (id, lease_until, started_at, seen_at${values === null ? sql`` : sql`, ${columns}`})
      VALUES (${worker}, ${until}, ${now}, ${now}${values === null ? sql`` : sql`, ${values}`})
      ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until, seen_at = excluded.seen_at${values === null ? sql`` : excluded}
      WHERE NOT w.is_expired
      RETURNING id
    )
    SELECT o.* FROM renewed LEFT JOIN ${held}(renewed.id) AS o ON true`
  }
}

export const renewLeases = (sql: SqlClient.SqlClient, schema: string) => {
  const renew = renewStatement(sql, schema)
  return (worker: string, lease: Duration.Duration, report?: WorkerReport) =>
    Effect.flatMap(renew(worker, lease, report), (rows) =>
      rows.length === 0
        ? Effect.fail(new WorkerExpired({ worker }))
        : Effect.succeed(rows.filter((row) => row.id !== null).map(toHeldOrder))
    )
}

/** The orders that a worker holds and whose cancel was requested. */
export const findCancelRequests = (sql: SqlClient.SqlClient, schema: string) => {
  const held = sql.literal(`"${schema}".${heldOrders.name}`)
  return (worker: string) =>
    Effect.map(
      sql<
        Pick<OrderRow, "id">
      >`SELECT o.id FROM ${held}(${worker}) AS o WHERE o.cancel_requested IS NOT NULL`,
      (rows) => rows.map(({ id }) => id)
    )
}

/**
 * Removes a worker that holds no orders. Waits for a claim of this worker that still runs, then looks with a new
 * snapshot: the orders of a worker that is not registered would never expire.
 */
export const deregister = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderRunning, orderWorkers } = tablesOf(sql, schema)
  return (worker: string) =>
    sql`SELECT FROM ${orderWorkers} w WHERE w.id = ${worker} FOR UPDATE`.pipe(
      Effect.andThen(sql`
    DELETE FROM ${orderWorkers} w WHERE w.id = ${worker}
      AND NOT EXISTS (SELECT FROM ${orderRunning} r WHERE r.worker = w.id)`),
      sql.withTransaction
    )
}
