import type { Sql } from "./Sql.ts"

// Checks a run by the tables, the clients' log and the injected faults. It shares no code with the product: the edges
// and rules are written here a second time.

/** What the oracle knows besides the tables. Times are milliseconds since the epoch, from the same machine. */
export interface Evidence {
  readonly answered: ReadonlyArray<{ readonly orderId: string; readonly kills: boolean }>
  /** The number of reprocess calls answered 202, by order. */
  readonly reprocessed: ReadonlyMap<string, number>
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

/** Each rule names a violation and selects it, one row per case. */
const rules: ReadonlyArray<readonly [what: string, select: string]> = [
  [
    "orders answered 202 but lost",
    `SELECT a.order_id FROM chaos_answered a WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = a.order_id)`
  ],
  [
    "not final at the end",
    `SELECT id AS order_id, status, due_at, lease_until FROM orders WHERE status NOT IN ('PROCESSED', 'FAILED')`
  ],
  [
    "stored more than once for one request",
    `SELECT (min(id::text))::uuid AS order_id, count(*)::int AS times FROM orders GROUP BY correlation_id HAVING count(*) > 1`
  ],
  [
    "illegal transitions",
    `WITH legal (event, from_status, to_status) AS (VALUES
       ('created', NULL, 'PENDING'), ('started', 'PENDING', 'PROCESSING'), ('completed', 'PROCESSING', 'PROCESSED'),
       ('retried', 'PROCESSING', 'PENDING'), ('failed', 'PROCESSING', 'FAILED'), ('expired', 'PROCESSING', 'PENDING'),
       ('expired', 'PROCESSING', 'FAILED'), ('released', 'PROCESSING', 'PENDING'), ('snoozed', 'PROCESSING', 'PENDING'),
       ('reprocessed', 'FAILED', 'PENDING'), ('discarded', 'FAILED', 'FAILED'))
     SELECT e.order_id, e.version, e.event, e.from_status, e.to_status FROM order_events e WHERE NOT EXISTS (
       SELECT FROM legal l WHERE l.event = e.event AND l.to_status = e.to_status AND l.from_status IS NOT DISTINCT FROM e.from_status)`
  ],
  [
    "versions with a gap, a repetition or a wrong predecessor",
    `SELECT * FROM (
       SELECT order_id, version, event, from_status,
         row_number() OVER w AS place, lag(to_status) OVER w AS previous, lag(at) OVER w AS previous_at, at
       FROM order_events WINDOW w AS (PARTITION BY order_id ORDER BY version)) e
     WHERE version <> place OR from_status IS DISTINCT FROM previous OR (place = 1 AND event <> 'created')`
  ],
  [
    "orders that differ from the end of their history",
    `SELECT o.id AS order_id, o.status, o.version, last.to_status, last.version AS last FROM orders o
     LEFT JOIN LATERAL (SELECT to_status, version FROM order_events e WHERE e.order_id = o.id ORDER BY version DESC LIMIT 1) last ON true
     WHERE last.version IS DISTINCT FROM o.version OR last.to_status IS DISTINCT FROM o.status`
  ],
  [
    "history without its order",
    `SELECT DISTINCT order_id FROM order_events e WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = e.order_id)`
  ],
  [
    "attempts with two outcomes",
    `SELECT order_id, life, attempt, count(*)::int AS outcomes FROM chaos_history
     WHERE event IN ('completed', 'retried', 'failed', 'expired') GROUP BY 1, 2, 3 HAVING count(*) > 1`
  ],
  [
    "starts without an outcome, or outcomes without a start",
    `SELECT order_id, version, event FROM (
       SELECT order_id, version, event, worker, lag(event) OVER w AS before, lag(worker) OVER w AS starter, lead(event) OVER w AS after
       FROM order_events WINDOW w AS (PARTITION BY order_id ORDER BY version)) e
     WHERE (event = 'started' AND after IS NULL)
        OR (event IN ('completed', 'retried', 'failed', 'expired', 'released', 'snoozed') AND (before <> 'started' OR worker IS DISTINCT FROM starter))`
  ],
  [
    "retry counts that differ from the failures since the last reprocess",
    `SELECT o.id AS order_id, o.retry_count, h.failures FROM orders o JOIN LATERAL (
       SELECT failures FROM chaos_history h WHERE h.order_id = o.id ORDER BY version DESC LIMIT 1) h ON true
     WHERE o.retry_count <> h.failures`
  ],
  [
    "attempts that differ from the failures before them plus one",
    // For an outcome "failures" includes its own, because it belongs to the attempt before the failure.
    `SELECT order_id, version, event, attempt, failures FROM chaos_history
     WHERE attempt <> failures + CASE WHEN event IN ('retried', 'failed', 'expired') THEN 0 ELSE 1 END`
  ],
  [
    "more failures than the order allows, or FAILED too early",
    `SELECT o.id AS order_id, o.status, o.retry_count, o.max_retries FROM orders o
     WHERE o.retry_count > greatest(1, o.max_retries)
        OR (o.status <> 'FAILED' AND o.retry_count >= greatest(1, o.max_retries))
        OR (o.status = 'FAILED' AND o.retry_count < greatest(1, o.max_retries) AND NOT EXISTS (
              SELECT FROM dead_letters d WHERE d.order_id = o.id AND d.reason_code IN ('PERMANENT', 'UNDECODABLE')))`
  ],
  [
    "FAILED orders, not discarded, without exactly one dead letter",
    `SELECT o.id AS order_id FROM orders o WHERE o.status = 'FAILED' AND o.discarded_at IS NULL
       AND (SELECT count(*) FROM dead_letters d WHERE d.order_id = o.id) <> 1`
  ],
  [
    "dead letters without such an order",
    `SELECT d.order_id FROM dead_letters d WHERE NOT EXISTS (
       SELECT FROM orders o WHERE o.id = d.order_id AND o.status = 'FAILED' AND o.discarded_at IS NULL)`
  ],
  [
    "transactional writes missing",
    `SELECT o.id AS order_id FROM orders o WHERE o.status = 'PROCESSED' AND o.payload @> '{"writes": true}'
       AND NOT EXISTS (SELECT FROM chaos_ledger l WHERE l.order_id = o.id)`
  ],
  [
    "transactional writes made twice",
    `SELECT order_id, count(*)::int AS times FROM chaos_ledger GROUP BY order_id HAVING count(*) > 1`
  ],
  [
    "transactional writes of an order that is not PROCESSED, or of another attempt",
    `SELECT l.order_id, o.status, l.attempt FROM chaos_ledger l LEFT JOIN orders o ON o.id = l.order_id
     WHERE o.status IS DISTINCT FROM 'PROCESSED' OR NOT EXISTS (
       SELECT FROM order_events e WHERE e.order_id = l.order_id AND e.event = 'completed' AND e.attempt = l.attempt)`
  ],
  [
    "orders that kill their worker but are not in the DLQ as WORKER_LOST",
    `SELECT o.id AS order_id, o.status, d.reason_code FROM orders o LEFT JOIN dead_letters d ON d.order_id = o.id
     WHERE o.payload @> '{"kill": true}' AND (o.status <> 'FAILED' OR d.reason_code IS DISTINCT FROM 'WORKER_LOST')`
  ],
  [
    "reprocess calls answered 202 but not in the history",
    `SELECT r.order_id, r.times, h.times AS happened FROM chaos_reprocessed r
     CROSS JOIN LATERAL (SELECT count(*)::int AS times FROM order_events e WHERE e.order_id = r.order_id AND e.event = 'reprocessed') h
     WHERE h.times < r.times`
  ]
]

// The history with two derived columns: the number of reprocesses so far, and the failures since the last one.
const history = `
  CREATE TABLE chaos_history AS
  SELECT *, sum((event IN ('retried', 'failed', 'expired'))::int) OVER (PARTITION BY order_id, life ORDER BY version)::int AS failures
  FROM (
    SELECT order_id, version, event, attempt, worker, at,
      sum((event = 'reprocessed')::int) OVER (PARTITION BY order_id ORDER BY version)::int AS life
    FROM order_events
  ) lived`

interface Expired {
  readonly order_id: string
  readonly worker: string
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

// A worker that starts orders of higher priority need not start this one; one that starts none, or orders of lower
// priority, must.
const expirations = `
  WITH lost AS (
    SELECT x.order_id, x.worker, o.priority, extract(epoch FROM s.at)::float8 * 1000 AS started,
      extract(epoch FROM x.at)::float8 * 1000 AS expired, extract(epoch FROM n.at)::float8 * 1000 AS again
    FROM order_events x
    JOIN orders o ON o.id = x.order_id
    JOIN order_events s ON s.order_id = x.order_id AND s.version = x.version - 1
    LEFT JOIN order_events n ON n.order_id = x.order_id AND n.version = x.version + 1 AND n.event = 'started'
    WHERE x.event = 'expired'
  )
  SELECT order_id::text, worker, started, expired, again, idle.from AS idle_from, idle.to AS idle_to, overtaken
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

const text = (row: object) =>
  Object.entries(row)
    .map(([key, value]) => `${key} ${value instanceof Date ? value.toISOString() : String(value)}`)
    .join(", ")

/** Runs every rule and returns its findings. */
export const judge = async (sql: Sql, evidence: Evidence): Promise<ReadonlyArray<Finding>> => {
  await sql.query(`CREATE TABLE chaos_answered AS SELECT unnest($1::uuid[]) AS order_id`, [
    evidence.answered.map(({ orderId }) => orderId)
  ])
  await sql.query(
    `CREATE TABLE chaos_reprocessed AS SELECT unnest($1::uuid[]) AS order_id, unnest($2::int[]) AS times`,
    [[...evidence.reprocessed.keys()], [...evidence.reprocessed.values()]]
  )
  await sql.query(history)
  await sql.query(starts)
  await sql.query(`CREATE INDEX ON chaos_starts (at, priority)`)
  await sql.query(`CREATE INDEX ON chaos_history (order_id, version)`)
  await sql.query(`CREATE INDEX ON chaos_ledger (order_id)`)
  await sql.query(`ANALYZE`)

  const findings: Array<Finding> = []
  const count = async (what: string, select: string) => {
    const [row] = await sql.query<{ n: number }>(`SELECT count(*)::int AS n FROM (${select}) counted`)
    findings.push({ what, figure: row?.n ?? 0 })
  }
  findings.push({
    what: "orders answered 202",
    figure: new Set(evidence.answered.map(({ orderId }) => orderId)).size
  })
  await count("orders stored (those without an answer too)", `SELECT FROM orders`)
  await count("orders PROCESSED", `SELECT FROM orders WHERE status = 'PROCESSED'`)
  await count("orders FAILED", `SELECT FROM orders WHERE status = 'FAILED'`)
  await count("transactional writes", `SELECT FROM chaos_ledger`)
  await count("orders that killed their worker", `SELECT FROM orders WHERE payload @> '{"kill": true}'`)
  for (const event of ["started", "retried", "expired", "released", "snoozed", "reprocessed"])
    await count(`events: ${event}`, `SELECT FROM order_events WHERE event = '${event}'`)

  for (const [what, select] of rules) {
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
  const overtaken = expired.filter(({ overtaken }) => overtaken > 0)
  const longest = new Map<string, { all: number; counted: number; example: string }>()
  for (const { again, expired: at, idle_from, idle_to, order_id, started, worker } of expired) {
    const crash = crashes.findLast((c) => c.pid === pidOf(worker) && c.at >= started - 1000 && c.at <= at)
    if (crash === undefined) continue
    const end = again ?? at
    const all = end - crash.at
    const counted = availableMs(crash.at, at) + availableMs(idle_from ?? at, idle_to ?? at)
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
