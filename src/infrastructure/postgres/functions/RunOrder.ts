import { ownChange } from "./OwnChange.ts"
import { plannerSettings } from "./PlannerSettings.ts"

/**
 * Makes one PENDING order that waits for its time due now, and writes the audit. Returns the order, and no row if
 * nothing was changed. An order that waits behind another of its key keeps waiting there.
 */
export const runOrder = {
  name: "order_platform_run_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_run_v1(target_id uuid, operator text, correlation_id text)
RETURNS SETOF ${s}.orders LANGUAGE plpgsql
${plannerSettings} AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
  target ${s}.orders;
BEGIN
  target := ${s}.order_platform_lock_v1(target_id);
  IF target.id IS NULL OR target.status <> 'PENDING' OR target.due_at <= moment THEN
    RETURN;
  END IF;
  ${ownChange(`RETURN QUERY
  WITH hastened AS (
    UPDATE ${s}.orders o SET version = o.version + 1, due_at = moment, updated_at = moment WHERE o.id = target.id RETURNING o.*
  ), history AS (
    INSERT INTO ${s}.order_events (order_id, version, event, from_status, to_status, at, attempt)
    SELECT h.id, h.version, 'hastened', 'PENDING', 'PENDING', moment, h.retry_count + 1 FROM hastened h
  ), due AS (
    UPDATE ${s}.order_due d SET due_at = moment WHERE d.priority = target.priority AND d.group_name = target.group_name
      AND d.type = target.type AND d.due_at = target.due_at AND d.order_id = target.id
  ), lane_check AS (
    INSERT INTO ${s}.order_lane_checks (priority, group_name, type)
    SELECT target.priority, target.group_name, target.type WHERE target.type <> 'default' OR target.group_name <> ''
  ), key_check AS (
    INSERT INTO ${s}.order_key_checks (type, ordering_key)
    SELECT target.type, target.ordering_key WHERE target.ordering_key <> ''
  ), audit AS (
    INSERT INTO ${s}.order_audit (at, operator, action, subject, correlation_id)
    VALUES (moment, operator, 'run', target.id::text, correlation_id)
  )
  SELECT * FROM hastened;`)}
END $$`
} as const
