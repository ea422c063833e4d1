/** The maximum number of checks of each kind, and of lanes to wake, that one claim handles. */
const most = 500

/**
 * The first step of a claim, in its transaction. Gives each checked ordering key without a head its next order,
 * marks checked lanes as ready, and lanes whose time has come. Each step is a statement of its own, so that it sees everything
 * that was committed with the checks it has taken. A lane that another claim has locked keeps its check, because
 * that claim may have looked at the lane before the check was committed. Returns whether anything is left to do.
 */
export const promoteOrders = {
  name: "order_platform_promote_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_promote_v1(moment timestamptz)
RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  types text[];
  keys text[];
  checks tid[];
  priorities integer[];
  groups text[];
  left_over boolean := false;
BEGIN
  WITH taken AS (
    DELETE FROM ${s}.order_key_checks WHERE ctid = ANY (ARRAY (
      SELECT c.ctid FROM ${s}.order_key_checks c LIMIT ${most} FOR UPDATE SKIP LOCKED
    )) RETURNING type, ordering_key
  )
  SELECT array_agg(t.type), array_agg(t.ordering_key) INTO types, keys
  FROM (SELECT DISTINCT taken.type, taken.ordering_key FROM taken) t;

  IF types IS NOT NULL THEN
    left_over := EXISTS (SELECT FROM ${s}.order_key_checks c);
    -- An order that is locked is being cancelled or hastened, which writes another check.
    WITH next AS MATERIALIZED (
      SELECT o.id, o.type, o.ordering_key, o.place, o.priority, o.group_name, o.due_at, o.retry_count
      FROM unnest(types, keys) AS k (type, ordering_key)
      CROSS JOIN LATERAL (
        SELECT w.order_id FROM ${s}.order_key_waiting w
        WHERE w.type = k.type AND w.ordering_key = k.ordering_key ORDER BY w.place LIMIT 1
      ) w
      JOIN ${s}.orders o ON o.id = w.order_id AND o.status = 'PENDING'
      WHERE NOT EXISTS (SELECT FROM ${s}.order_key_heads h WHERE h.type = k.type AND h.ordering_key = k.ordering_key)
      FOR NO KEY UPDATE OF o SKIP LOCKED
    ), promoted AS (
      INSERT INTO ${s}.order_key_heads (type, ordering_key, order_id)
      SELECT next.type, next.ordering_key, next.id FROM next ORDER BY next.type, next.ordering_key
      ON CONFLICT DO NOTHING RETURNING order_id
    ), head AS (
      SELECT next.* FROM next WHERE next.id IN (SELECT promoted.order_id FROM promoted)
    ), no_longer_waiting AS (
      DELETE FROM ${s}.order_key_waiting w USING head
      WHERE w.type = head.type AND w.ordering_key = head.ordering_key AND w.place = head.place
    ), due AS (
      INSERT INTO ${s}.order_due (priority, group_name, type, due_at, order_id, is_retry)
      SELECT head.priority, head.group_name, head.type, head.due_at, head.id, head.retry_count > 0 FROM head
    )
    INSERT INTO ${s}.order_lane_checks (priority, group_name, type)
    SELECT DISTINCT head.priority, head.group_name, head.type FROM head WHERE head.type <> 'default' OR head.group_name <> '';
  END IF;

  SELECT array_agg(c.ctid), array_agg(c.priority), array_agg(c.group_name), array_agg(c.type)
  INTO checks, priorities, groups, types
  FROM (SELECT l.ctid, l.* FROM ${s}.order_lane_checks l LIMIT ${most} FOR UPDATE SKIP LOCKED) c;

  IF checks IS NOT NULL THEN
    WITH checked AS MATERIALIZED (
      SELECT * FROM unnest(checks, priorities, groups, types) AS c (row, priority, group_name, type)
    ), wanted AS MATERIALIZED (
      SELECT c.priority, c.group_name, c.type FROM checked c WHERE c.priority IS NOT NULL
      UNION
      SELECT l.priority, l.group_name, l.type FROM checked c JOIN ${s}.order_lanes l ON l.group_name = c.group_name
      WHERE c.priority IS NULL
    ), locked AS MATERIALIZED (
      SELECT l.priority, l.group_name, l.type FROM wanted w
      JOIN ${s}.order_lanes l ON l.priority = w.priority AND l.group_name = w.group_name AND l.type = w.type
      FOR UPDATE OF l SKIP LOCKED
    ), marked AS (
      UPDATE ${s}.order_lanes l SET ready = true, wake_at = NULL FROM locked k
      WHERE l.priority = k.priority AND l.group_name = k.group_name AND l.type = k.type AND NOT l.ready
    ), added AS (
      INSERT INTO ${s}.order_lanes (priority, group_name, type, ready)
      SELECT w.priority, w.group_name, w.type, true FROM wanted w
      WHERE NOT EXISTS (
        SELECT FROM ${s}.order_lanes l WHERE l.priority = w.priority AND l.group_name = w.group_name AND l.type = w.type)
      ORDER BY w.priority, w.group_name, w.type
      ON CONFLICT DO NOTHING RETURNING priority, group_name, type
    ), open AS MATERIALIZED (
      SELECT * FROM locked UNION ALL SELECT * FROM added
    ), missed AS MATERIALIZED (
      SELECT w.priority, w.group_name, w.type FROM wanted w WHERE NOT EXISTS (
        SELECT FROM open o WHERE o.priority = w.priority AND o.group_name = w.group_name AND o.type = w.type)
    ), done AS (
      DELETE FROM ${s}.order_lane_checks l USING checked c
      WHERE l.ctid = c.row AND NOT EXISTS (
        SELECT FROM missed m WHERE m.group_name = c.group_name
          AND (c.priority IS NULL OR (m.priority = c.priority AND m.type = c.type)))
    )
    SELECT left_over OR EXISTS (SELECT FROM missed) OR cardinality(checks) = ${most} INTO left_over;
  END IF;

  UPDATE ${s}.order_lanes l SET ready = true, wake_at = NULL
  FROM (
    SELECT w.priority, w.group_name, w.type FROM ${s}.order_lanes w
    WHERE w.wake_at <= moment ORDER BY w.wake_at LIMIT ${most} FOR UPDATE SKIP LOCKED
  ) woken
  WHERE l.priority = woken.priority AND l.group_name = woken.group_name AND l.type = woken.type;
  RETURN left_over OR EXISTS (SELECT FROM ${s}.order_lanes w WHERE w.wake_at <= moment);
END $$`
} as const
