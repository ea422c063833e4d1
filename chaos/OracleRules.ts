import { headsThatDiffer, sideTablesThatDiffer } from "./Records.ts"

/** The name of a violation, and the SQL that selects its cases, one row each. */
export type Rule = readonly [what: string, select: string]

/** The rules for orders of every kind. */
export const rules: ReadonlyArray<Rule> = [
  [
    "orders answered 202 but lost",
    `SELECT a.order_id FROM chaos_accepted a WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = a.order_id)`
  ],
  [
    "not final at the end",
    `SELECT id AS order_id, status, due_at, type, ordering_key, group_name FROM orders WHERE status NOT IN ('PROCESSED', 'FAILED')`
  ],
  [
    "stored more than once for one request",
    `SELECT (min(id::text))::uuid AS order_id, count(*)::int AS times FROM orders GROUP BY correlation_id, metadata ->> 'item' HAVING count(*) > 1`
  ],
  [
    "illegal transitions",
    `WITH legal (event, from_status, to_status) AS (VALUES
       ('created', NULL, 'PENDING'), ('started', 'PENDING', 'PROCESSING'), ('completed', 'PROCESSING', 'PROCESSED'),
       ('retried', 'PROCESSING', 'PENDING'), ('failed', 'PROCESSING', 'FAILED'), ('expired', 'PROCESSING', 'PENDING'),
       ('expired', 'PROCESSING', 'FAILED'), ('released', 'PROCESSING', 'PENDING'), ('snoozed', 'PROCESSING', 'PENDING'),
       ('reprocessed', 'FAILED', 'PENDING'), ('discarded', 'FAILED', 'FAILED'), ('cancelled', 'PENDING', 'FAILED'),
       ('cancelled', 'PROCESSING', 'FAILED'), ('hastened', 'PENDING', 'PENDING'))
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
     WHERE event IN ('completed', 'retried', 'failed', 'expired', 'cancelled') GROUP BY 1, 2, 3 HAVING count(*) > 1`
  ],
  [
    "starts without an outcome, or outcomes without a start",
    `SELECT order_id, version, event FROM (
       SELECT order_id, version, event, from_status, worker, lag(event) OVER w AS before, lag(worker) OVER w AS starter, lead(event) OVER w AS after
       FROM order_events WINDOW w AS (PARTITION BY order_id ORDER BY version)) e
     WHERE (event = 'started' AND after IS NULL)
        OR (from_status = 'PROCESSING' AND (before <> 'started' OR worker IS DISTINCT FROM starter))
        OR (from_status = 'PENDING' AND event <> 'started' AND (before = 'started' OR worker IS NOT NULL))`
  ],
  [
    "retry counts that differ from the failures since the last reprocess",
    `SELECT o.id AS order_id, o.retry_count, h.failures FROM orders o JOIN LATERAL (
       SELECT failures FROM chaos_history h WHERE h.order_id = o.id ORDER BY version DESC LIMIT 1) h ON true
     WHERE o.retry_count <> h.failures`
  ],
  [
    "attempts that differ from the failures before them plus one",
    // For a failed outcome, "failures" already includes that failure, which came after the attempt began.
    `SELECT order_id, version, event, attempt, failures FROM chaos_history
     WHERE attempt <> failures + CASE WHEN event IN ('retried', 'failed', 'expired') THEN 0 ELSE 1 END`
  ],
  [
    "more failures than the order allows, or FAILED too early",
    `SELECT o.id AS order_id, o.status, o.retry_count, o.max_retries FROM orders o
     WHERE o.retry_count > greatest(1, o.max_retries)
        OR (o.status <> 'FAILED' AND o.retry_count >= greatest(1, o.max_retries))
        OR (o.status = 'FAILED' AND o.retry_count < greatest(1, o.max_retries) AND NOT EXISTS (
              SELECT FROM dead_letters d WHERE d.order_id = o.id AND d.reason_code IN ('PERMANENT', 'UNDECODABLE'))
            AND NOT EXISTS (SELECT FROM order_events e WHERE e.order_id = o.id AND e.version = o.version AND e.event = 'cancelled'))`
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
    "failure groups whose count is not the number of their entries",
    `SELECT coalesce(g.fingerprint, d.fingerprint) AS fingerprint, g.count, d.entries FROM order_failure_groups g
     FULL JOIN (SELECT fingerprint, count(*)::int AS entries FROM dead_letters GROUP BY fingerprint) d USING (fingerprint)
     WHERE coalesce(g.count, 0) <> coalesce(d.entries, 0)`
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
    `SELECT r.order_id, r.times, h.times AS happened
     FROM (SELECT order_id, count(*)::int AS times FROM chaos_reprocess_calls GROUP BY order_id) r
     CROSS JOIN LATERAL (SELECT count(*)::int AS times FROM order_events e WHERE e.order_id = r.order_id AND e.event = 'reprocessed') h
     WHERE h.times < r.times`
  ],
  ["orders that are not in the side tables of their status", sideTablesThatDiffer()],
  ["keys with a wrong head, and orders that may run past their key", headsThatDiffer()]
]
