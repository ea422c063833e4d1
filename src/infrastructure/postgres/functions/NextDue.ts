import { isInForce } from "./Conditions.ts"
import { plannerSettings } from "./PlannerSettings.ts"

/**
 * When time alone lets a further order start; null if there is no such time. Called at the end of a claim, when
 * every ready lane was examined or the claim is full. `paused_until` is the end of the pause of everything, null if
 * there is none.
 */
export const nextDue = {
  name: "order_platform_next_due_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_next_due_v1(moment timestamptz, plain boolean, paused_until timestamptz)
RETURNS timestamptz LANGUAGE plpgsql STABLE ${plannerSettings} AS $$
DECLARE
  next timestamptz;
  plain_next timestamptz;
  plain_paused_until timestamptz;
BEGIN
  SELECT l.wake_at INTO next FROM ${s}.order_lanes l WHERE l.wake_at IS NOT NULL ORDER BY l.wake_at LIMIT 1;
  IF plain THEN
    SELECT max(coalesce(p.resume_at, 'infinity')) INTO plain_paused_until FROM ${s}.order_pauses p
    WHERE p.type = 'default' AND p.group_name = '' AND ${isInForce("p")};
    SELECT min(first.due_at) INTO plain_next
    FROM generate_series(0, 9) AS each (priority)
    CROSS JOIN LATERAL (
      SELECT d.due_at FROM ${s}.order_due d
      WHERE d.priority = each.priority AND d.group_name = '' AND d.type = 'default'
        AND (d.due_at > moment OR coalesce(paused_until, plain_paused_until) IS NOT NULL)
      ORDER BY d.due_at LIMIT 1
    ) first;
    next := least(next, CASE WHEN plain_next IS NOT NULL THEN greatest(plain_next, plain_paused_until) END);
  END IF;
  IF paused_until IS NOT NULL THEN
    IF EXISTS (SELECT FROM ${s}.order_lanes l WHERE l.ready) THEN
      next := moment;
    END IF;
    next := CASE WHEN next IS NOT NULL THEN greatest(next, paused_until) END;
  END IF;
  RETURN nullif(next, 'infinity');
END $$`
} as const
