import { allowedAt, isInForce } from "./Conditions.ts"
import { plannerSettings } from "./PlannerSettings.ts"

/**
 * The last step of a claim, in its transaction: looks again at ready lanes in which it found nothing to start. Locks
 * each lane, then judges it by a statement of its own, which sees everything that was committed before the lock;
 * what is committed later also commits a check, and a check is kept while its lane is locked. A lane without orders
 * is deleted; one that is blocked is no longer ready, and gets the time at which time alone makes it ready again, if
 * there is one. The caller has locked the rows of limited groups.
 */
export const closeLanes = {
  name: "order_platform_close_lanes_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_close_lanes_v1(moment timestamptz, priorities integer[], groups text[],
  default_max_running integer, default_rate float8)
RETURNS void LANGUAGE plpgsql
${plannerSettings} AS $$
DECLARE
  locked_priorities integer[];
  locked_groups text[];
  locked_types text[];
  locked_rows tid[];
  blocked_rows tid[];
  wake_times timestamptz[];
BEGIN
  SELECT array_agg(k.priority), array_agg(k.group_name), array_agg(k.type), array_agg(k.row)
  INTO locked_priorities, locked_groups, locked_types, locked_rows
  FROM (SELECT DISTINCT * FROM unnest(priorities, groups)) AS c (priority, group_name)
  CROSS JOIN LATERAL (
    SELECT l.priority, l.group_name, l.type, l.ctid AS row FROM ${s}.order_lanes l
    WHERE l.priority = c.priority AND l.group_name = c.group_name AND l.ready
    FOR UPDATE SKIP LOCKED
  ) k;
  IF locked_priorities IS NULL THEN
    RETURN;
  END IF;
  -- A pause that cannot be locked is being changed or ended: then the lanes stay as they are.
  IF (SELECT count(*) FROM (SELECT FROM ${s}.order_pauses FOR SHARE SKIP LOCKED) locked)
    < (SELECT count(*) FROM ${s}.order_pauses) THEN
    RETURN;
  END IF;
  WITH judged AS MATERIALIZED (
    SELECT l.row, first.due_at, greatest(first.due_at, (
        SELECT max(coalesce(p.resume_at, 'infinity')) FROM ${s}.order_pauses p
        WHERE p.type IN ('', l.type) AND p.group_name IN ('', l.group_name) AND (p.type <> '' OR p.group_name <> '')
          AND ${isInForce("p")}
      ), ${allowedAt(s, "l.group_name")}) AS free_at
    FROM unnest(locked_priorities, locked_groups, locked_types, locked_rows) AS l (priority, group_name, type, row)
    LEFT JOIN LATERAL (
      SELECT d.due_at FROM ${s}.order_due d
      WHERE d.priority = l.priority AND d.group_name = l.group_name AND d.type = l.type ORDER BY d.due_at LIMIT 1
    ) first ON true
  ), emptied AS (
    DELETE FROM ${s}.order_lanes WHERE ctid = ANY (ARRAY (SELECT j.row FROM judged j WHERE j.due_at IS NULL))
  )
  SELECT array_agg(j.row), array_agg(nullif(j.free_at, 'infinity')) INTO blocked_rows, wake_times
  FROM judged j WHERE j.due_at IS NOT NULL AND j.free_at > moment;
  UPDATE ${s}.order_lanes l SET ready = false, wake_at = wake_times[array_position(blocked_rows, l.ctid)]
  WHERE l.ctid = ANY (blocked_rows);
END $$`
} as const
