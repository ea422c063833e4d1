// SQL that checks ordering keys, groups and side tables by the stored orders and events, for the chaos oracle and for
// tests. `s` is the prefix of each table's name: empty, or a schema and a dot.
//
// An attempt runs from the time of its `started` event to the time of the event that ends it. Times have whole
// milliseconds: at the same time, ends come before starts.

/** The attempts, with the kind of their order; `ended_at` is null while they run. */
export const attempts = (s = ""): string => `
  SELECT e.order_id, e.version, e.worker, e.at AS started_at, n.at AS ended_at, n.event AS ended_by,
    o.type, o.ordering_key, o.group_name, o.priority
  FROM ${s}order_events e
  JOIN ${s}orders o ON o.id = e.order_id
  LEFT JOIN ${s}order_events n ON n.order_id = e.order_id AND n.version = e.version + 1
  WHERE e.event = 'started'`

/** Attempts that began while another one of the same type and ordering key was running. */
export const overlapsWithinKeys = (s = ""): string => `
  SELECT * FROM (
    SELECT *, max(coalesce(ended_at, 'infinity')) OVER (
      PARTITION BY type, ordering_key ORDER BY started_at, ended_at, version
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until
    FROM (${attempts(s)}) a WHERE ordering_key <> ''
  ) b WHERE started_at < busy_until`

/** Each start in a group, with the number of the group's attempts that run from then on, itself included. */
export const runningByGroup = (s = ""): string => `
  SELECT group_name, order_id, at, running FROM (
    SELECT *, sum(step) OVER (PARTITION BY group_name ORDER BY at, step ROWS UNBOUNDED PRECEDING)::int AS running
    FROM (
      SELECT group_name, order_id, started_at AS at, 1 AS step FROM (${attempts(s)}) a WHERE group_name <> ''
      UNION ALL
      SELECT group_name, order_id, ended_at, -1 FROM (${attempts(s)}) a WHERE group_name <> '' AND ended_at IS NOT NULL
    ) moves
  ) counted WHERE step = 1`

/**
 * By group, the number of starts above what a bucket of max(1, rate) tokens allows, if it is full before the first
 * start: the highest value of starts - rate * seconds - max(1, rate) over all periods. `rates` selects group_name and
 * rate.
 */
export const startsAboveRate = (rates: string, s = ""): string => `
  SELECT group_name, rate, max(above)::float8 AS above FROM (
    SELECT group_name, rate, at, x + 1 - min(x) OVER (PARTITION BY group_name ORDER BY at, x ROWS UNBOUNDED PRECEDING)
      - greatest(1, rate) AS above
    FROM (
      SELECT a.group_name, r.rate::float8 AS rate, a.started_at AS at,
        row_number() OVER (PARTITION BY a.group_name ORDER BY a.started_at)
          - r.rate::float8 * (extract(epoch FROM a.started_at) - extract(epoch FROM min(a.started_at) OVER (PARTITION BY a.group_name)))::float8 AS x
      FROM (${attempts(s)}) a JOIN (${rates}) r USING (group_name)
    ) placed
  ) every GROUP BY group_name, rate`

/**
 * Orders that are not in exactly the side tables that their status requires, each with the tables in which it is:
 * PENDING in exactly one of order_due and order_key_waiting, PROCESSING in order_running, final orders in order_final,
 * and no row without an order.
 */
export const sideTablesThatDiffer = (s = ""): string => `
  WITH places AS (
    SELECT order_id, 'PENDING' AS status, 'due' AS place FROM ${s}order_due
    UNION ALL SELECT order_id, 'PENDING', 'waiting' FROM ${s}order_key_waiting
    UNION ALL SELECT order_id, 'PROCESSING', 'running' FROM ${s}order_running
    UNION ALL SELECT order_id, status, 'final' FROM ${s}order_final
  ), stands AS (
    SELECT order_id, string_agg(place, ' and ' ORDER BY place) AS places, count(*) AS times, min(status) AS status
    FROM places GROUP BY order_id
  )
  SELECT coalesce(o.id, p.order_id) AS order_id, o.status, p.places FROM ${s}orders o
  FULL JOIN stands p ON p.order_id = o.id
  WHERE o.id IS NULL OR p.order_id IS NULL OR p.times <> 1 OR p.status <> o.status`

/**
 * Keys whose head is final or unknown, or belongs to another key; and orders that are in order_due or order_running
 * although they are not the head of their key.
 */
export const headsThatDiffer = (s = ""): string => `
  SELECT h.order_id, h.type, h.ordering_key, o.status FROM ${s}order_key_heads h LEFT JOIN ${s}orders o ON o.id = h.order_id
  WHERE o.status IS NULL OR o.status IN ('PROCESSED', 'FAILED') OR (o.type, o.ordering_key) <> (h.type, h.ordering_key)
  UNION ALL
  SELECT o.id, o.type, o.ordering_key, o.status FROM ${s}orders o
  WHERE o.ordering_key <> '' AND NOT EXISTS (SELECT FROM ${s}order_key_heads h WHERE h.order_id = o.id)
    AND (o.status = 'PROCESSING' OR EXISTS (SELECT FROM ${s}order_due d WHERE d.order_id = o.id))`
