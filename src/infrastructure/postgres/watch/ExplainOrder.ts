import { DateTime, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { type GroupLimits, noLimits } from "../../../domain/Groups.ts"
import { OrderNotFound } from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { Pause } from "../../../domain/Pauses.ts"
import type { WhyWaiting } from "../../../domain/WhyWaiting.ts"
import { toPause } from "../control/PauseWorkers.ts"
import { tablesOf } from "../client/Tables.ts"
import {
  maxRunningOf,
  nextTokenAt,
  rateOf,
  runningOf,
  tokensOf,
  tokenTolerance
} from "../functions/Conditions.ts"

interface WhyRow {
  readonly is_pending: boolean
  readonly is_due: boolean
  readonly behind: OrderId | null
  readonly pause:
    | (Omit<Parameters<typeof toPause>[0], "since" | "resume_at"> & {
        readonly since: string
        readonly resume_at: string | null
      })
    | null
  readonly has_worker: boolean
  readonly breaker_since: Date | null
  readonly max_running: number | null
  readonly running: number | null
  readonly rate: number | null
  readonly next_at: Date | null
  readonly before: number | null
}

/** Of the due orders with a type or a group, this many of the earliest are counted if their priority is higher. */
const maxExamined = 1001

/**
 * What a claim would decide about one order, read in one statement. The conditions of groups are those of the claim
 * function (functions/Conditions.ts). No row if the order does not exist.
 */
export const whyWaitingStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orderDue, orderGroups, orderKeyHeads, orderKeyWaiting, orderPauses, orderWorkers, orders } =
    tablesOf(sql, schema)
  const s = `"${schema}"`
  const raw = sql.literal

  return (id: OrderId, limit: number, { maxRunning, ratePerSecond }: GroupLimits) => sql<WhyRow>`
    WITH mine AS MATERIALIZED (
      SELECT o.*, ${now} AS moment, ${maxRunning}::int AS default_max_running, ${ratePerSecond}::float8 AS default_rate
      FROM ${orders} o WHERE o.id = ${id}::uuid
    )
    SELECT status = 'PENDING' AS is_pending, due_at <= moment AS is_due,
      CASE WHEN ordering_key <> '' THEN nullif(coalesce(
        (SELECT h.order_id FROM ${orderKeyHeads} h WHERE h.type = mine.type AND h.ordering_key = mine.ordering_key),
        (SELECT w.order_id FROM ${orderKeyWaiting} w WHERE w.type = mine.type AND w.ordering_key = mine.ordering_key
         ORDER BY w.place LIMIT 1)
      ), id) END AS behind,
      (SELECT to_jsonb(p) FROM ${orderPauses} p
       WHERE p.type IN ('', mine.type) AND p.group_name IN ('', mine.group_name) AND (p.resume_at IS NULL OR p.resume_at > moment)
       ORDER BY p.since, p.type, p.group_name LIMIT 1) AS pause,
      workers.has_worker, workers.breaker_since,
      limits.max_running, limits.running, limits.rate, limits.next_at,
      CASE WHEN status = 'PENDING' AND due_at <= moment THEN (
        SELECT count(*)::int FROM (
          SELECT FROM generate_series(mine.priority + 1, 9) AS high (priority)
          CROSS JOIN LATERAL (
            SELECT FROM ${orderDue} d
            WHERE d.priority = high.priority AND d.group_name = '' AND d.type = 'default' AND d.due_at <= moment
            ORDER BY d.due_at LIMIT ${limit}
          ) AS plain
          UNION ALL
          SELECT FROM (
            SELECT d.priority FROM ${orderDue} d
            WHERE (d.type <> 'default' OR d.group_name <> '') AND d.due_at <= moment ORDER BY d.due_at LIMIT ${maxExamined}
          ) AS earliest WHERE earliest.priority > mine.priority
          UNION ALL
          (SELECT FROM ${orderDue} d
          WHERE d.priority = mine.priority AND d.group_name = mine.group_name AND d.type = mine.type
            AND (d.due_at, d.order_id) < (mine.due_at, mine.id)
          ORDER BY d.due_at, d.order_id LIMIT ${limit})
          LIMIT ${limit}
        ) AS counted
      ) END AS before
    FROM mine LEFT JOIN LATERAL (
      SELECT g.max_running, g.rate,
        CASE WHEN g.max_running IS NOT NULL THEN ${raw(runningOf(s, "mine.group_name", "g.max_running"))} END AS running,
        CASE WHEN g.rate IS NOT NULL AND g.tokens + ${tokenTolerance}::float8 < 1
          THEN ${raw(nextTokenAt("g.tokens", "g.rate"))} END AS next_at
      FROM (
        SELECT ${raw(maxRunningOf("g"))} AS max_running, ${raw(rateOf("g"))} AS rate, ${raw(tokensOf("g"))} AS tokens
        FROM (SELECT 1) AS one LEFT JOIN ${orderGroups} g ON g.group_name = mine.group_name
      ) g
    ) limits ON mine.group_name <> ''
    CROSS JOIN LATERAL (
      SELECT count(*) > 0 AS has_worker,
        CASE WHEN count(*) = count(b.since) THEN min(b.since) END AS breaker_since
      FROM ${orderWorkers} w LEFT JOIN LATERAL (
        SELECT (each->>'since')::timestamptz AS since FROM jsonb_array_elements(w.breakers) AS each
        WHERE each->>'type' = mine.type LIMIT 1
      ) b ON true
      WHERE w.lease_until > moment AND NOT w.is_expired AND (w.types IS NULL OR mine.type = ANY (w.types))
    ) workers`
}

const pauseOf = ({ resume_at, since, ...row }: NonNullable<WhyRow["pause"]>): Pause =>
  toPause({ ...row, since: new Date(since), resume_at: resume_at === null ? null : new Date(resume_at) })

/** The first reason that holds, in the sequence of `WhyWaiting`. */
const reasonOf = (row: WhyRow): WhyWaiting | null => {
  if (!row.is_pending) return null
  if (!row.is_due) return { why: "not due" }
  if (row.behind !== null) return { why: "behind its key", orderId: row.behind }
  if (row.pause !== null) return { why: "paused", pause: pauseOf(row.pause) }
  if (!row.has_worker) return { why: "no worker for its type" }
  if (row.breaker_since !== null)
    return { why: "breaker is open", since: DateTime.fromDateUnsafe(row.breaker_since) }
  if (row.max_running !== null && row.running !== null && row.running >= row.max_running)
    return { why: "group is full", running: row.running, maxRunning: row.max_running }
  if (row.rate !== null && row.next_at !== null)
    return {
      why: "group has used its rate",
      ratePerSecond: row.rate,
      nextAt: DateTime.fromDateUnsafe(row.next_at)
    }
  return { why: "no free slot", before: row.before ?? 0 }
}

export const whyWaiting = (sql: SqlClient.SqlClient, schema: string) => {
  const find = whyWaitingStatement(sql, schema)
  return Effect.fnUntraced(function* (
    id: OrderId,
    { defaultLimits = noLimits, limit }: { readonly limit: number; readonly defaultLimits?: GroupLimits }
  ) {
    const [row] = yield* find(id, limit, defaultLimits)
    return row === undefined ? yield* new OrderNotFound({ orderId: id }) : reasonOf(row)
  })
}
