import type { Rule } from "./OracleRules.ts"
import { attempts, overlapsWithinKeys, runningByGroup, startsAboveRate } from "./Records.ts"

// The rules for ordering keys, groups and types, and for cancel, run and pause.

/** The time within which a pause or a new limit must take effect. */
const followedWithin = "interval '2 seconds'"

/**
 * The lives of the orders with a key: one from the submit, one from each reprocess. Each has its place in the key,
 * drawn between `lo` and `hi`: between the sending and the 202 of the submit, or between the statement of the reprocess
 * and its 202 or next event. From `final_at` on it no longer holds others back.
 */
export const lives = `
  CREATE TABLE chaos_lives AS
  SELECT h.order_id, h.life, o.type, o.ordering_key, a.call, a.item,
    CASE WHEN h.life = 0 THEN a.sent ELSE h.at END AS lo,
    CASE WHEN h.life = 0 THEN a.answered ELSE coalesce(r.answered, n.at) END AS hi,
    coalesce(f.final_at, 'infinity') AS final_at
  FROM chaos_history h
  JOIN orders o ON o.id = h.order_id AND o.ordering_key <> ''
  LEFT JOIN chaos_accepted a ON a.order_id = h.order_id AND h.life = 0
  LEFT JOIN chaos_history n ON n.order_id = h.order_id AND n.version = h.version + 1
  LEFT JOIN LATERAL (
    SELECT min(answered) AS answered FROM chaos_reprocess_calls c
    WHERE c.order_id = h.order_id AND c.sent <= h.at AND h.at <= c.answered
  ) r ON h.life > 0
  CROSS JOIN LATERAL (
    SELECT min(e.at) AS final_at FROM chaos_history e
    WHERE e.order_id = h.order_id AND e.life = h.life AND e.to_status IN ('PROCESSED', 'FAILED')
  ) f
  WHERE h.event IN ('created', 'reprocessed')`

// Only pairs of orders whose sequence is certain: the place of the first was drawn before that of the second, or both
// were items of one bulk. An order whose submit was not answered, or answered too late to be sure, is in no pair.
const inversions = `
  SELECT s.order_id, s.at AS started, b.type, b.ordering_key, earlier.order_id AS earlier, earlier.final_at
  FROM chaos_history s
  JOIN chaos_lives b ON b.order_id = s.order_id AND b.life = s.life
  CROSS JOIN LATERAL (
    SELECT a.order_id, a.final_at FROM chaos_lives a
    WHERE a.type = b.type AND a.ordering_key = b.ordering_key AND a.final_at > s.at AND a.order_id <> b.order_id
      AND (a.hi < b.lo OR (a.call = b.call AND a.life = 0 AND b.life = 0 AND a.item < b.item))
    LIMIT 1
  ) earlier
  WHERE s.event = 'started'`

// A limit may still hold until the next one was answered, plus the time within which that one must take effect.
const aboveMaxRunning = (within: string) => `
  SELECT r.group_name, r.order_id, r.at, r.running, l.max_running FROM (${runningByGroup()}) r
  CROSS JOIN LATERAL (
    SELECT max(coalesce(max_running, 1000000)) AS max_running FROM chaos_limits l
    WHERE l.group_name = r.group_name AND l.from_at <= r.at AND r.at <= l.to_at + ${within}
  ) l
  WHERE r.running > l.max_running`

/** The group's rates do not change during a run. */
const rates = "SELECT DISTINCT group_name, rate FROM chaos_limits WHERE rate IS NOT NULL"

const pausedStarts = (from: string) => `
  SELECT a.order_id, a.type, a.group_name, a.started_at, p.answered AS paused, p.may_end FROM (${attempts()}) a
  JOIN chaos_pauses p ON (p.type IS NULL OR p.type = a.type) AND (p.group_name IS NULL OR p.group_name = a.group_name)
  WHERE a.started_at > ${from} AND a.started_at < p.may_end`

const cancelRules: ReadonlyArray<Rule> = [
  [
    "orders that went on after their cancel was answered 202",
    `SELECT c.order_id, c.answered, e.event, e.at FROM chaos_cancels c JOIN order_events e USING (order_id)
     WHERE c.status = 202 AND e.at > c.answered AND e.event NOT IN ('completed', 'cancelled')`
  ],
  [
    "cancels answered 202 of orders that are neither CANCELLED nor PROCESSED, or have a dead letter",
    `SELECT DISTINCT c.order_id, o.status, e.event, e.reason_code, o.discarded_at FROM chaos_cancels c
     LEFT JOIN orders o ON o.id = c.order_id
     LEFT JOIN order_events e ON e.order_id = o.id AND e.version = o.version
     WHERE c.status = 202 AND (
       (o.status = 'PROCESSED' OR (o.status = 'FAILED' AND e.event = 'cancelled' AND e.reason_code = 'CANCELLED'
         AND o.discarded_at IS NOT NULL AND o.failure_reason IS NOT NULL)) IS NOT TRUE
       OR EXISTS (SELECT FROM dead_letters d WHERE d.order_id = c.order_id))`
  ],
  [
    "cancels answered 409 of orders that were not final, or were cancelled",
    `SELECT c.order_id, c.sent, c.answered FROM chaos_cancels c WHERE c.status = 409 AND NOT EXISTS (
       SELECT FROM order_events e LEFT JOIN order_events n ON n.order_id = e.order_id AND n.version = e.version + 1
       WHERE e.order_id = c.order_id AND e.to_status IN ('PROCESSED', 'FAILED') AND e.event <> 'cancelled' AND e.at <= c.answered
         AND (n.at IS NULL OR n.at >= c.sent))`
  ],
  [
    "cancels of an accepted order answered 404",
    `SELECT order_id, sent, answered FROM chaos_cancels WHERE status NOT IN (0, 202, 409, 503)`
  ],
  [
    "cancelled orders that nobody cancelled, or cancelled twice",
    `SELECT e.order_id, count(*)::int AS times FROM order_events e WHERE e.event = 'cancelled' GROUP BY e.order_id
     HAVING count(*) > 1 OR NOT EXISTS (SELECT FROM chaos_cancels c WHERE c.order_id = e.order_id)`
  ],
  [
    "cancelled orders that changed later",
    `SELECT e.order_id, n.event FROM order_events e JOIN order_events n ON n.order_id = e.order_id AND n.version = e.version + 1
     WHERE e.event = 'cancelled'`
  ],
  [
    "orders with a request of a cancel that is not PROCESSING",
    `SELECT id AS order_id, status, cancel_requested FROM orders WHERE cancel_requested IS NOT NULL AND status <> 'PROCESSING'`
  ],
  [
    "calls of run answered 202 but not in the history",
    `SELECT r.order_id, r.times, h.times AS happened
     FROM (SELECT order_id, count(*)::int AS times FROM chaos_runs GROUP BY order_id) r
     CROSS JOIN LATERAL (SELECT count(*)::int AS times FROM order_events e WHERE e.order_id = r.order_id AND e.event = 'hastened') h
     WHERE h.times < r.times`
  ]
]

/** The rules for ordering keys, groups and types, and for cancel, run and pause. */
export const kindRules: ReadonlyArray<Rule> = [
  ["overlaps within an ordering key", overlapsWithinKeys()],
  ["inversions within an ordering key", inversions],
  ["moments above a group's maxRunning", aboveMaxRunning(followedWithin)],
  [
    // Times have whole milliseconds, so a start may seem a millisecond earlier than it was.
    "groups that started more than their rate",
    `SELECT * FROM (${startsAboveRate(rates)}) r WHERE above > 0.001 * rate + 0.000001`
  ],
  [
    "starts of a paused type or group later than 2 s after the pause",
    pausedStarts(`p.answered + ${followedWithin}`)
  ],
  ...cancelRules
]

/** Figures without a limit, which show how many cases the rules above had to judge. */
export const kindFigures: ReadonlyArray<Rule> = [
  ["orders with an ordering key", "SELECT FROM orders WHERE ordering_key <> ''"],
  [
    "pairs of neighbours within a key whose sequence is known",
    `SELECT FROM (SELECT lo, lag(hi) OVER (PARTITION BY type, ordering_key ORDER BY hi) AS before FROM chaos_lives WHERE hi IS NOT NULL) l
     WHERE before < lo`
  ],
  [
    "starts that had waited behind another order of their key",
    `SELECT FROM chaos_history s JOIN chaos_lives b ON b.order_id = s.order_id AND b.life = s.life
     WHERE s.event = 'started' AND EXISTS (SELECT FROM chaos_lives a WHERE a.type = b.type AND a.ordering_key = b.ordering_key
       AND a.order_id <> b.order_id AND a.final_at > b.hi AND a.final_at <= s.at)`
  ],
  ["orders with a group", "SELECT FROM orders WHERE group_name <> ''"],
  [
    "moments at a group's maxRunning",
    `SELECT FROM (${runningByGroup()}) r JOIN chaos_limits l USING (group_name)
     WHERE r.at BETWEEN l.from_at AND l.to_at AND r.running = l.max_running`
  ],
  ["moments above a group's new maxRunning within 2 s of its answer", aboveMaxRunning("interval '0'")],
  [
    "groups that started as many as their rate allows, less one",
    `SELECT FROM (${startsAboveRate(rates)}) r WHERE above > -1`
  ],
  ["starts within 2 s of the answer of a pause that covers them", pausedStarts("p.answered")],
  ["pauses", "SELECT FROM chaos_pauses"],
  ["cancels answered 202", "SELECT FROM chaos_cancels WHERE status = 202"],
  ["cancels answered 409", "SELECT FROM chaos_cancels WHERE status = 409"],
  [
    "waiting orders cancelled",
    "SELECT FROM order_events WHERE event = 'cancelled' AND from_status = 'PENDING'"
  ],
  [
    "running orders cancelled",
    "SELECT FROM order_events WHERE event = 'cancelled' AND from_status = 'PROCESSING'"
  ],
  [
    "running orders completed after their cancel was answered 202",
    `SELECT FROM order_events e WHERE event = 'completed' AND EXISTS (
       SELECT FROM chaos_cancels c WHERE c.order_id = e.order_id AND c.status = 202 AND c.answered < e.at)`
  ]
]
