import { DateTime, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { RegisteredWorker } from "../../../domain/Workers.ts"
import { tablesOf } from "../client/Tables.ts"

const maxWorkers = 1000
const maxTypes = 100

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
 * The types of due orders that no registered worker takes. Types are found by skipping from one to the next in the
 * index of ready lanes. Lanes of such a type stay ready, because no claim examines them.
 */
export const listTypesWithoutWorker = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderDue, orderKeyChecks, orderLaneChecks, orderLanes, orderWorkers } = tablesOf(sql, schema)
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
    )
    SELECT DISTINCT waiting.type FROM (
      SELECT type FROM present WHERE type IS NOT NULL
      UNION ALL
      (SELECT type FROM ${orderLaneChecks} WHERE type IS NOT NULL LIMIT ${maxChecks})
      UNION ALL
      (SELECT type FROM ${orderKeyChecks} LIMIT ${maxChecks})
      UNION ALL
      SELECT 'default' FROM generate_series(0, 9) AS each (priority) WHERE EXISTS (
        SELECT FROM ${orderDue} d
        WHERE d.priority = each.priority AND d.group_name = '' AND d.type = 'default' AND d.due_at <= ${now})
    ) waiting
    WHERE NOT EXISTS (
      SELECT FROM ${orderWorkers} w
      WHERE w.lease_until > ${now} AND NOT w.is_expired AND (w.types IS NULL OR waiting.type = ANY (w.types)))
    ORDER BY waiting.type LIMIT ${maxTypes}`,
    (rows) => rows.map(({ type }) => type)
  )
}
