import { DateTime, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { OpenBreaker, RegisteredWorker } from "../../../domain/Workers.ts"
import { tablesOf } from "../client/Tables.ts"

const maxWorkers = 1000
const maxTypes = 100
const maxLanes = 100

/** Checks become lanes only when a worker claims, so up to this many checks of each kind are read too. */
const maxChecks = 1000

interface WorkerRow {
  readonly id: string
  readonly host: string
  readonly version: string
  readonly role: string
  readonly types: ReadonlyArray<string> | null
  readonly capacity: number
  readonly in_flight: number
  readonly draining: boolean
  readonly breakers: ReadonlyArray<Omit<OpenBreaker, "since"> & { readonly since: string }>
  readonly started_at: Date
  readonly seen_at: Date
}

const toWorker = (row: WorkerRow): RegisteredWorker => ({
  id: row.id,
  host: row.host,
  version: row.version,
  role: row.role,
  types: row.types,
  capacity: row.capacity,
  inFlight: row.in_flight,
  draining: row.draining,
  breakers: row.breakers.map((breaker) => ({ ...breaker, since: DateTime.makeUnsafe(breaker.since) })),
  startedAt: DateTime.fromDateUnsafe(row.started_at),
  seenAt: DateTime.fromDateUnsafe(row.seen_at)
})

/** The workers whose lease has not ended. */
export const listWorkers = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderWorkers } = tablesOf(sql, schema)
  return Effect.map(
    sql<WorkerRow>`
    SELECT * FROM ${orderWorkers} WHERE lease_until > ${now} AND NOT is_expired ORDER BY started_at, id LIMIT ${maxWorkers}`,
    (rows) => rows.map(toWorker)
  )
}

/**
 * The types of due orders that no registered worker takes. Their lanes stay ready, because no claim examines them, and
 * their checks may wait for the first claim. The types of ready lanes are found by skipping from one to the next in the
 * index; of each type, up to `maxLanes` lanes of a priority are searched for a due order.
 */
export const listTypesWithoutWorker = (sql: SqlClient.SqlClient, schema: string) => {
  const {
    now,
    orderDue,
    orderKeyChecks,
    orderKeyWaiting,
    orderLaneChecks,
    orderLanes,
    orders,
    orderWorkers
  } = tablesOf(sql, schema)
  return Effect.map(
    sql<{ readonly type: string }>`
    WITH RECURSIVE present (priority, type) AS (
      SELECT each.priority, (
        SELECT l.type FROM ${orderLanes} l WHERE l.ready AND l.priority = each.priority ORDER BY l.type LIMIT 1)
      FROM generate_series(0, 9) AS each (priority)
      UNION ALL
      SELECT p.priority, (
        SELECT l.type FROM ${orderLanes} l WHERE l.ready AND l.priority = p.priority AND l.type > p.type
        ORDER BY l.type LIMIT 1)
      FROM present p WHERE p.type IS NOT NULL
    ), lane (priority, group_name, type) AS (
      SELECT l.priority, l.group_name, l.type FROM present p CROSS JOIN LATERAL (
        SELECT * FROM ${orderLanes} l WHERE l.ready AND l.priority = p.priority AND l.type = p.type
        ORDER BY l.group_name LIMIT ${maxLanes}
      ) l
      UNION ALL
      (SELECT priority, group_name, type FROM ${orderLaneChecks} WHERE type IS NOT NULL LIMIT ${maxChecks})
      UNION ALL
      SELECT each.priority, '', 'default' FROM generate_series(0, 9) AS each (priority)
    ), due (type) AS (
      SELECT lane.type FROM lane WHERE (
        SELECT true FROM ${orderDue} d WHERE d.priority = lane.priority AND d.group_name = lane.group_name
          AND d.type = lane.type AND d.due_at <= ${now} LIMIT 1)
      UNION ALL
      SELECT k.type FROM (SELECT type, ordering_key FROM ${orderKeyChecks} LIMIT ${maxChecks}) k CROSS JOIN LATERAL (
        SELECT w.order_id FROM ${orderKeyWaiting} w WHERE w.type = k.type AND w.ordering_key = k.ordering_key
        ORDER BY w.place LIMIT 1
      ) w JOIN ${orders} o ON o.id = w.order_id AND o.due_at <= ${now}
    )
    SELECT DISTINCT due.type FROM due
    WHERE NOT EXISTS (
      SELECT FROM ${orderWorkers} w
      WHERE w.lease_until > ${now} AND NOT w.is_expired AND (w.types IS NULL OR due.type = ANY (w.types)))
    ORDER BY due.type LIMIT ${maxTypes}`,
    (rows) => rows.map(({ type }) => type)
  )
}
