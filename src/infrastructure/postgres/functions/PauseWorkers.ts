import { plannerSettings } from "./PlannerSettings.ts"

/**
 * Marks the lanes as ready that a pause of this scope may have blocked, so that the next claims look at them. All of
 * them, since a claim that is about to mark a lane as blocked has locked it: the statement waits for that claim. A
 * pause of everything blocks no lane, because claims then look at none.
 */
const openLanes = (s: string) => `
  UPDATE ${s}.order_lanes l SET ready = true, wake_at = NULL
  FROM (
    SELECT c.priority, c.group_name, c.type FROM ${s}.order_lanes c
    WHERE of_type IN ('', c.type) AND of_group IN ('', c.group_name) AND (of_type <> '' OR of_group <> '')
    ORDER BY c.priority, c.group_name, c.type FOR UPDATE
  ) blocked
  WHERE l.priority = blocked.priority AND l.group_name = blocked.group_name AND l.type = blocked.type;`

/**
 * Stores a pause and its entry in the audit, and deletes pauses that have ended. Claims read the pauses. Only where
 * a pause is replaced, by one that may end earlier, must the lanes be looked at again.
 */
export const pauseWorkers = {
  name: "order_platform_pause_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_pause_v1(of_type text, of_group text, why text, until timestamptz, operator text,
  subject text, correlation_id text)
RETURNS void LANGUAGE plpgsql ${plannerSettings} AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
BEGIN
  DELETE FROM ${s}.order_pauses p WHERE p.resume_at <= moment AND (p.type <> of_type OR p.group_name <> of_group);
  UPDATE ${s}.order_pauses p SET reason = why, operator = order_platform_pause_v1.operator, resume_at = until,
    since = CASE WHEN p.resume_at <= moment THEN moment ELSE p.since END
  WHERE p.type = of_type AND p.group_name = of_group;
  IF FOUND THEN ${openLanes(s)}
  ELSE
    INSERT INTO ${s}.order_pauses (type, group_name, reason, operator, since, resume_at)
    VALUES (of_type, of_group, why, operator, moment, until)
    ON CONFLICT (type, group_name) DO UPDATE SET reason = excluded.reason, operator = excluded.operator,
      resume_at = excluded.resume_at;
  END IF;
  INSERT INTO ${s}.order_audit (at, operator, action, subject, reason, correlation_id)
  VALUES (moment, operator, 'pause', subject, why, correlation_id);
END $$`
} as const

/**
 * Deletes the pause of exactly this scope, and writes the audit if it was in force. A claim that marks a lane as
 * blocked by a pause holds a lock on the pause, so the deletion waits for it; the next statement then sees the mark
 * and removes it. After the deletion no claim can lock the pause, so none marks a lane because of it.
 */
export const resumeWorkers = {
  name: "order_platform_resume_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_resume_v1(of_type text, of_group text, operator text, subject text, correlation_id text)
RETURNS void LANGUAGE plpgsql ${plannerSettings} AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
  ended timestamptz;
BEGIN
  DELETE FROM ${s}.order_pauses p WHERE p.type = of_type AND p.group_name = of_group RETURNING p.resume_at INTO ended;
  IF FOUND THEN ${openLanes(s)}
    IF ended IS NULL OR ended > moment THEN
      INSERT INTO ${s}.order_audit (at, operator, action, subject, correlation_id)
      VALUES (moment, operator, 'resume', subject, correlation_id);
    END IF;
  END IF;
END $$`
} as const
