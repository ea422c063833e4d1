import { plannerSettings } from "./PlannerSettings.ts"

/** The maximum number of the oldest and of the newest checks of each kind that one claim handles. */
const mostOld = 200
const mostNew = 100

/** The maximum number of lanes that one claim wakes. */
const mostWoken = 500

/**
 * Locks the oldest and the newest checks, and returns their row ids. The newest too, so that an order does not wait
 * behind the checks of thousands of orders that were submitted at once, maybe of another group.
 */
const someChecks = (s: string, table: string) => `ARRAY (
    SELECT c.ctid FROM ${s}.${table} c ORDER BY c.number LIMIT ${mostOld} FOR UPDATE SKIP LOCKED
  ) || ARRAY (
    SELECT c.ctid FROM ${s}.${table} c ORDER BY c.number DESC LIMIT ${mostNew} FOR UPDATE SKIP LOCKED
  )`

/**
 * The first step of a claim, in its transaction. Gives each checked ordering key without a head its next order,
 * marks checked lanes as ready, and lanes whose time has come. Each step is a statement of its own, so that it sees
 * everything that was committed with the checks it has taken. A lane that another claim has locked keeps its check,
 * because that claim may have looked at the lane before the check was committed. Returns whether anything is left to
 * do.
 */
export const promoteOrders = {
  name: "order_platform_promote_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_promote_v1(moment timestamptz)
RETURNS boolean LANGUAGE plpgsql
${plannerSettings} AS $$
DECLARE
  types text[];
  keys text[];
  checks tid[];
  lanes tid[];
  left_over boolean := false;
BEGIN
  checks := ${someChecks(s, "order_key_checks")};
  WITH taken AS (
    DELETE FROM ${s}.order_key_checks WHERE ctid = ANY (checks) RETURNING type, ordering_key
  )
  SELECT array_agg(t.type), array_agg(t.ordering_key) INTO types, keys
  FROM (SELECT DISTINCT taken.type, taken.ordering_key FROM taken) t;

  IF types IS NOT NULL THEN
    -- The row of a locked order in order_key_waiting does not change.
    WITH next AS MATERIALIZED (
      SELECT o.*, w.row FROM unnest(types, keys) AS k (type, ordering_key)
      CROSS JOIN LATERAL (
        SELECT w.order_id, w.place, w.ctid AS row FROM ${s}.order_key_waiting w
        WHERE w.type = k.type AND w.ordering_key = k.ordering_key ORDER BY w.place LIMIT 1
      ) w
      CROSS JOIN LATERAL (
        SELECT o.id, o.type, o.ordering_key, o.priority, o.group_name, o.due_at, o.retry_count FROM ${s}.orders o
        WHERE o.id = w.order_id AND o.status = 'PENDING' AND o.place = w.place FOR NO KEY UPDATE SKIP LOCKED
      ) o
      WHERE (SELECT h.order_id FROM ${s}.order_key_heads h WHERE h.type = k.type AND h.ordering_key = k.ordering_key) IS NULL
    ), promoted AS (
      INSERT INTO ${s}.order_key_heads (type, ordering_key, order_id)
      SELECT next.type, next.ordering_key, next.id FROM next ORDER BY next.type, next.ordering_key
      ON CONFLICT DO NOTHING RETURNING order_id
    ), head AS (
      SELECT next.* FROM next WHERE next.id = ANY (ARRAY (SELECT promoted.order_id FROM promoted))
    ), no_longer_waiting AS (
      DELETE FROM ${s}.order_key_waiting WHERE ctid = ANY (ARRAY (SELECT head.row FROM head))
    ), due AS (
      INSERT INTO ${s}.order_due (priority, group_name, type, due_at, order_id, is_retry)
      SELECT head.priority, head.group_name, head.type, head.due_at, head.id, head.retry_count > 0 FROM head
    )
    INSERT INTO ${s}.order_lane_checks (priority, group_name, type)
    SELECT DISTINCT head.priority, head.group_name, head.type FROM head WHERE head.type <> 'default' OR head.group_name <> '';
    -- The order of such a key was locked, by a call that may change nothing: a later claim looks again.
    INSERT INTO ${s}.order_key_checks (type, ordering_key)
    SELECT k.type, k.ordering_key FROM unnest(types, keys) AS k (type, ordering_key)
    WHERE (SELECT h.order_id FROM ${s}.order_key_heads h WHERE h.type = k.type AND h.ordering_key = k.ordering_key) IS NULL
      AND (SELECT w.order_id FROM ${s}.order_key_waiting w
           WHERE w.type = k.type AND w.ordering_key = k.ordering_key ORDER BY w.place LIMIT 1) IS NOT NULL;
    left_over := EXISTS (SELECT FROM ${s}.order_key_checks c);
  END IF;

  checks := ${someChecks(s, "order_lane_checks")};
  IF cardinality(checks) > 0 THEN
    WITH checked AS MATERIALIZED (
      SELECT c.ctid AS row, c.priority, c.group_name, c.type FROM ${s}.order_lane_checks c WHERE c.ctid = ANY (checks)
    ), wanted AS MATERIALIZED (
      SELECT c.priority, c.group_name, c.type FROM checked c WHERE c.priority IS NOT NULL
      UNION
      SELECT l.priority, l.group_name, l.type
      FROM (SELECT DISTINCT c.group_name FROM checked c WHERE c.priority IS NULL) c
      CROSS JOIN LATERAL (
        SELECT l.priority, l.group_name, l.type FROM ${s}.order_lanes l WHERE l.group_name = c.group_name OFFSET 0
      ) l
    ), found AS MATERIALIZED (
      SELECT w.*, l.row, l.ready FROM wanted w LEFT JOIN LATERAL (
        SELECT l.ctid AS row, l.ready FROM ${s}.order_lanes l
        WHERE l.priority = w.priority AND l.group_name = w.group_name AND l.type = w.type FOR UPDATE SKIP LOCKED
      ) l ON true
    ), added AS (
      INSERT INTO ${s}.order_lanes (priority, group_name, type, ready)
      SELECT f.priority, f.group_name, f.type, true FROM found f
      WHERE f.row IS NULL AND (
        SELECT l.ready FROM ${s}.order_lanes l
        WHERE l.priority = f.priority AND l.group_name = f.group_name AND l.type = f.type) IS NULL
      ORDER BY f.priority, f.group_name, f.type
      ON CONFLICT DO NOTHING RETURNING priority, group_name, type
    ), missed AS MATERIALIZED (
      SELECT f.priority, f.group_name, f.type FROM found f WHERE f.row IS NULL
      EXCEPT SELECT a.priority, a.group_name, a.type FROM added a
    ), done AS (
      DELETE FROM ${s}.order_lane_checks WHERE ctid = ANY (ARRAY (
        SELECT c.row FROM checked c WHERE NOT EXISTS (
          SELECT FROM missed m WHERE m.group_name = c.group_name
            AND (c.priority IS NULL OR (m.priority = c.priority AND m.type = c.type)))))
    )
    SELECT left_over OR EXISTS (SELECT FROM missed), ARRAY (SELECT f.row FROM found f WHERE NOT f.ready)
    INTO left_over, lanes;
    -- In a statement of its own, which sees the rows as they were locked.
    UPDATE ${s}.order_lanes SET ready = true, wake_at = NULL WHERE ctid = ANY (lanes);
    left_over := left_over OR EXISTS (SELECT FROM ${s}.order_lane_checks c);
  END IF;

  lanes := ARRAY (
    SELECT w.ctid FROM ${s}.order_lanes w WHERE w.wake_at <= moment ORDER BY w.wake_at LIMIT ${mostWoken} FOR UPDATE SKIP LOCKED);
  UPDATE ${s}.order_lanes SET ready = true, wake_at = NULL WHERE ctid = ANY (lanes);
  RETURN left_over OR EXISTS (SELECT FROM ${s}.order_lanes w WHERE w.wake_at <= moment);
END $$`
} as const
