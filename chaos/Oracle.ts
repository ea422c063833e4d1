import type { ClientLog } from "./Client.ts"
import { defaultMaxRunning, groupsWithDefaults, limitedType } from "./Kinds.ts"
import { kindFigures, kindRules, lives } from "./OracleKinds.ts"
import { rules, type Rule } from "./OracleRules.ts"
import type { Sql } from "./Sql.ts"

// Checks a run by the tables, the clients' log and the injected faults. It shares no code with the product: the edges
// and rules are written here a second time.

/** What the oracle knows besides the tables. Times are milliseconds since the epoch, from the same machine. */
export interface Evidence {
  readonly log: ClientLog
  /** When a worker process ended or was cut off; another one must start its orders again. */
  readonly crashes: ReadonlyArray<{ readonly kind: string; readonly pid: number; readonly at: number }>
  /** Periods in which a lease may expire: a process (null: any) or PostgreSQL was down, frozen or cut off. */
  readonly expirableTimes: ReadonlyArray<{
    readonly pid: number | null
    readonly from: number
    readonly to: number
  }>
  /** The milliseconds of a period in which PostgreSQL and at least one worker were available. */
  readonly availableMs: (from: number, to: number) => number
  readonly leaseMs: number
  readonly maxRestartMs: number
}

/** One line of the report. A figure without `max` is only information. */
export interface Finding {
  readonly what: string
  readonly figure: number
  readonly max?: number
  readonly unit?: "ms"
  readonly examples?: ReadonlyArray<string>
}

/** The number of orders that are not final. */
export const unfinished = async (sql: Sql): Promise<number> => {
  const [row] = await sql.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM orders WHERE status NOT IN ('PROCESSED', 'FAILED')`
  )
  return row?.n ?? 0
}

// The history with two derived columns: the number of reprocesses so far, and the failures since the last one.
const history = `
  CREATE TABLE chaos_history AS
  SELECT *, sum((event IN ('retried', 'failed', 'expired'))::int) OVER (PARTITION BY order_id, life ORDER BY version)::int AS failures
  FROM (
    SELECT order_id, version, event, from_status, to_status, attempt, worker, at,
      sum((event = 'reprocessed')::int) OVER (PARTITION BY order_id ORDER BY version)::int AS life
    FROM order_events
  ) lived`

interface Expired {
  readonly order_id: string
  readonly worker: string
  /** Whether only its priority decides when it is started again. */
  readonly is_free: boolean
  readonly started: number
  readonly expired: number
  readonly again: number | null
  /**
   * The longest time, from then to the next start, in which no worker started an order of the same or higher priority.
   */
  readonly idle_from: number | null
  readonly idle_to: number | null
  /** Orders of lower priority that were started more than a second before this one. */
  readonly overtaken: number
}

const starts = `
  CREATE TABLE chaos_starts AS
  SELECT extract(epoch FROM e.at)::float8 * 1000 AS at, o.priority
  FROM order_events e JOIN orders o ON o.id = e.order_id WHERE e.event = 'started'`

// A worker that starts orders of higher priority need not start this one. A worker that starts none, or orders of lower
// priority, must start it, unless the order waits for its group, for a slot of its type or for the end of a pause. Such
// orders are not judged here. An expired order stays the head of its key.
const expirations = `
  WITH lost AS (
    SELECT x.order_id, x.worker, o.priority, extract(epoch FROM s.at)::float8 * 1000 AS started,
      extract(epoch FROM x.at)::float8 * 1000 AS expired, extract(epoch FROM n.at)::float8 * 1000 AS again,
      o.group_name = '' AND o.type <> '${limitedType}' AND NOT EXISTS (
        SELECT FROM chaos_pauses p WHERE (p.type IS NULL OR p.type = o.type) AND p.group_name IS NULL
          AND p.sent <= coalesce(n.at, 'infinity') AND p.ended >= x.at) AS is_free
    FROM order_events x
    JOIN orders o ON o.id = x.order_id
    JOIN order_events s ON s.order_id = x.order_id AND s.version = x.version - 1
    LEFT JOIN order_events n ON n.order_id = x.order_id AND n.version = x.version + 1 AND n.event = 'started'
    WHERE x.event = 'expired'
  )
  SELECT order_id::text, worker, is_free, started, expired, again, idle.from AS idle_from, idle.to AS idle_to, overtaken
  FROM lost
  LEFT JOIN LATERAL (
    SELECT lag(at, 1, expired) OVER (ORDER BY at) AS from, at AS to
    FROM chaos_starts s WHERE s.at > expired AND s.at <= again AND s.priority >= lost.priority
    ORDER BY at - lag(at, 1, expired) OVER (ORDER BY at) DESC LIMIT 1
  ) idle ON true
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS overtaken FROM chaos_starts s
    WHERE s.at > expired + 1000 AND s.at < again - 1000 AND s.priority < lost.priority
  ) after`

const time = (ms: number) => (Number.isFinite(ms) ? new Date(ms).toISOString() : "infinity")

/** Copies the answers that the clients got into tables. */
const storeEvidence = async (sql: Sql, { log }: Evidence): Promise<void> => {
  const store = async (table: string, columns: string, rows: ReadonlyArray<object>) => {
    await sql.query(`CREATE TABLE ${table} (${columns})`)
    await sql.query(
      `INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1::text::jsonb)`,
      [JSON.stringify(rows)]
    )
  }
  const called = ({ answeredAt, orderId, sentAt, status }: ClientLog["cancels"][number]) => ({
    order_id: orderId,
    sent: time(sentAt),
    answered: time(answeredAt),
    status
  })
  const calls = "order_id uuid, sent timestamptz, answered timestamptz, status int"
  await store(
    "chaos_accepted",
    "order_id uuid, sent timestamptz, answered timestamptz, call int, item int",
    log.accepted.map(({ answeredAt, call, item, orderId, sentAt }) => ({
      order_id: orderId,
      sent: time(sentAt),
      answered: time(answeredAt),
      call,
      item
    }))
  )
  await store("chaos_reprocess_calls", calls, log.reprocessed.map(called))
  await store("chaos_cancels", calls, log.cancels.map(called))
  await store("chaos_runs", calls, log.runs.map(called))
  await store(
    "chaos_limits",
    "group_name text, max_running int, rate float8, from_at timestamptz, to_at timestamptz",
    limitsInForce(log)
  )
  await store(
    "chaos_pauses",
    "type text, group_name text, sent timestamptz, answered timestamptz, may_end timestamptz, ended timestamptz",
    log.pauses.map(({ answeredAt, endedAt, group, mayEndAt, sentAt, type }) => ({
      type,
      group_name: group,
      sent: time(sentAt),
      answered: time(answeredAt),
      may_end: time(mayEndAt),
      ended: time(endedAt)
    }))
  )
}

/** Each limit with the time in which it may hold: from the call that set it until the next one was answered. */
const limitsInForce = ({ limits }: ClientLog) => [
  ...limits.map(({ group, maxRunning, ratePerSecond, sentAt }, n) => ({
    group_name: group,
    max_running: maxRunning ?? defaultMaxRunning,
    rate: ratePerSecond,
    from_at: time(sentAt),
    to_at: time(limits.slice(n + 1).find((next) => next.group === group)?.answeredAt ?? Infinity)
  })),
  ...groupsWithDefaults.map((group) => ({
    group_name: group,
    max_running: defaultMaxRunning,
    rate: null,
    from_at: "-infinity",
    to_at: "infinity"
  }))
]

const text = (row: object) =>
  Object.entries(row)
    .map(([key, value]) => `${key} ${value instanceof Date ? value.toISOString() : String(value)}`)
    .join(", ")

/** Runs every rule and returns its findings. */
export const judge = async (sql: Sql, evidence: Evidence): Promise<ReadonlyArray<Finding>> => {
  await storeEvidence(sql, evidence)
  await sql.query(history)
  await sql.query(starts)
  await sql.query(`CREATE INDEX ON chaos_starts (at, priority)`)
  await sql.query(`CREATE INDEX ON chaos_history (order_id, version)`)
  await sql.query(lives)
  await sql.query(`CREATE INDEX ON chaos_lives (type, ordering_key, final_at)`)
  await sql.query(`CREATE INDEX ON chaos_lives (order_id, life)`)
  await sql.query(`CREATE INDEX ON chaos_ledger (order_id)`)
  await sql.query(`ANALYZE`)

  const findings: Array<Finding> = []
  const count = async (what: string, select: string) => {
    const [row] = await sql.query<{ n: number }>(`SELECT count(*)::int AS n FROM (${select}) counted`)
    findings.push({ what, figure: row?.n ?? 0 })
  }
  findings.push({
    what: "orders answered 202",
    figure: new Set(evidence.log.accepted.map(({ orderId }) => orderId)).size
  })
  await count("orders stored (those without an answer too)", `SELECT FROM orders`)
  await count("orders PROCESSED", `SELECT FROM orders WHERE status = 'PROCESSED'`)
  await count("orders FAILED", `SELECT FROM orders WHERE status = 'FAILED'`)
  await count("transactional writes", `SELECT FROM chaos_ledger`)
  await count("orders that killed their worker", `SELECT FROM orders WHERE payload @> '{"kill": true}'`)
  for (const event of ["started", "retried", "expired", "released", "snoozed", "reprocessed", "hastened"])
    await count(`events: ${event}`, `SELECT FROM order_events WHERE event = '${event}'`)
  for (const figure of kindFigures) await count(...figure)

  for (const [what, select] of [...rules, ...kindRules] satisfies ReadonlyArray<Rule>) {
    const cases = await sql.query<object>(select)
    findings.push({ what, figure: cases.length, max: 0, examples: cases.slice(0, 5).map(text) })
  }

  findings.push(...(await judgeExpirations(sql, evidence)))
  return findings
}

/** Every expired lease must have a cause, and its order must be started again soon after the worker was lost. */
const judgeExpirations = async (
  sql: Sql,
  { crashes, expirableTimes, leaseMs, maxRestartMs, availableMs }: Evidence
): Promise<ReadonlyArray<Finding>> => {
  const expired = await sql.query<Expired>(expirations)
  const pidOf = (worker: string) => Number(worker.split(":")[1])
  const withoutCause = expired.filter(
    ({ expired, started, worker }) =>
      !expirableTimes.some(
        ({ from, pid, to }) =>
          (pid === null || pid === pidOf(worker)) &&
          from <= expired &&
          to >= Math.min(started, expired - leaseMs - 1000)
      )
  )
  const overtaken = expired.filter(({ is_free, overtaken }) => is_free && overtaken > 0)
  const longest = new Map<string, { all: number; counted: number; example: string }>()
  for (const { again, expired: at, idle_from, idle_to, is_free, order_id, started, worker } of expired) {
    // An order that waits for its group, its type or the end of a pause only has to have expired in time.
    const restart = is_free ? again : null
    const crash = crashes.findLast((c) => c.pid === pidOf(worker) && c.at >= started - 1000 && c.at <= at)
    if (crash === undefined) continue
    const end = restart ?? at
    const all = end - crash.at
    const counted =
      availableMs(crash.at, at) + (restart === null ? 0 : availableMs(idle_from ?? at, idle_to ?? at))
    const known = longest.get(crash.kind)
    if (known === undefined || counted > known.counted)
      longest.set(crash.kind, {
        all: Math.max(all, known?.all ?? 0),
        counted,
        example: `order ${order_id} of ${worker}: started ${iso(started)}, lost ${iso(crash.at)}, expired ${iso(at)}, again ${again === null ? "never (it was the last attempt)" : iso(again)}`
      })
    else known.all = Math.max(all, known.all)
  }
  return [
    {
      what: "attempts expired without a fault",
      figure: withoutCause.length,
      max: 0,
      examples: withoutCause
        .slice(0, 5)
        .map(
          (e) => `order ${e.order_id} of ${e.worker}: started ${iso(e.started)}, expired ${iso(e.expired)}`
        )
    },
    {
      what: "orders of lost workers that waited a second longer than orders of lower priority",
      figure: overtaken.length,
      max: 0,
      examples: overtaken
        .slice(0, 5)
        .map(
          (e) =>
            `order ${e.order_id}: expired ${iso(e.expired)}, again ${iso(e.again ?? 0)}, after ${e.overtaken} of lower priority`
        )
    },
    ...Array.from(longest, ([kind, { all, counted, example }]): ReadonlyArray<Finding> => [
      {
        what: `longest from "${kind}" to the next start, while PostgreSQL and a worker were available`,
        figure: Math.round(counted),
        max: maxRestartMs,
        unit: "ms",
        examples: [example]
      },
      {
        what: `longest from "${kind}" to the next start, by the wall clock`,
        figure: Math.round(all),
        unit: "ms"
      }
    ]).flat()
  ]
}

const iso = (ms: number) => new Date(ms).toISOString().slice(11, 23)

/** The longest time from each of these moments to the next event of this kind. */
export const longestUntil = async (
  sql: Sql,
  event: string,
  moments: ReadonlyArray<number>
): Promise<number> => {
  const [row] = await sql.query<{ ms: number | null }>(
    `SELECT max(extract(epoch FROM first.at)::float8 * 1000 - m.ms) AS ms FROM unnest($1::float8[]) AS m (ms)
     CROSS JOIN LATERAL (
       SELECT min(at) AS at FROM order_events WHERE event = $2 AND at >= to_timestamp(m.ms / 1000)
     ) first`,
    [moments, event]
  )
  return Math.round(row?.ms ?? 0)
}
