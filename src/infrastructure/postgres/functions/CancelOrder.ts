import { ownChange } from "./OwnChange.ts"
import { plannerSettings } from "./PlannerSettings.ts"

/**
 * Cancels one order: a PENDING order becomes FAILED without a dead letter; for a PROCESSING order the request is
 * stored in its row, where settle and expire find it. Returns the order after that; no row if it does not exist, is
 * final, or has another version. The lock of the order's row decides between a cancel and a claim or a settle.
 */
export const cancelOrder = {
  name: "order_platform_cancel_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_cancel_v1(target_id uuid, cancel_reason text, if_version integer)
RETURNS SETOF ${s}.orders LANGUAGE plpgsql
${plannerSettings} AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
  target ${s}.orders;
BEGIN
  target := ${s}.order_platform_lock_v1(target_id);
  IF target.id IS NULL OR target.status NOT IN ('PENDING', 'PROCESSING') OR target.version <> coalesce(if_version, target.version) THEN
    RETURN;
  END IF;
  IF target.status = 'PROCESSING' THEN
    ${ownChange(`RETURN QUERY
    UPDATE ${s}.orders o SET cancel_requested = coalesce(o.cancel_requested, cancel_reason) WHERE o.id = target.id RETURNING o.*;`)}
    RETURN;
  END IF;
  ${ownChange(`RETURN QUERY
  WITH cancelled AS (
    UPDATE ${s}.orders o SET status = 'FAILED', version = o.version + 1, failure_reason = cancel_reason, reason_code = 'CANCELLED',
      due_at = NULL, discarded_at = moment, updated_at = moment
    WHERE o.id = target.id RETURNING o.*
  ), history AS (
    INSERT INTO ${s}.order_events (order_id, version, event, from_status, to_status, at, attempt, reason, reason_code)
    SELECT c.id, c.version, 'cancelled', 'PENDING', 'FAILED', moment, c.retry_count + 1, cancel_reason, 'CANCELLED' FROM cancelled c
  ), no_longer_due AS (
    DELETE FROM ${s}.order_due d WHERE d.priority = target.priority AND d.group_name = target.group_name AND d.type = target.type
      AND d.due_at = target.due_at AND d.order_id = target.id
  ), no_longer_waiting AS (
    DELETE FROM ${s}.order_key_waiting w
    WHERE w.type = target.type AND w.ordering_key = target.ordering_key AND w.place = target.place
  ), freed_key AS (
    DELETE FROM ${s}.order_key_heads h
    WHERE h.type = target.type AND h.ordering_key = target.ordering_key AND h.order_id = target.id
  ), key_check AS (
    INSERT INTO ${s}.order_key_checks (type, ordering_key)
    SELECT target.type, target.ordering_key WHERE target.ordering_key <> ''
  ), final AS (
    INSERT INTO ${s}.order_final (status, created_at, order_id, final_at) SELECT c.status, c.created_at, c.id, moment FROM cancelled c
  )
  SELECT * FROM cancelled;`)}
END $$`
} as const
