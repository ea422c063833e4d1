import { plannerSettings } from "./PlannerSettings.ts"

/**
 * Locks one order for a change, and returns it; returns nulls if there is no such order. A PENDING order is locked
 * as a claim locks it: first its row in `order_due`, then its own row, so that the two cannot wait for each other.
 * If the order changes between the two locks, or is being claimed then, the call fails with SQLSTATE 40001 and is to
 * be repeated.
 */
export const lockOrder = {
  name: "order_platform_lock_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_lock_v1(target_id uuid)
RETURNS ${s}.orders LANGUAGE plpgsql
${plannerSettings} AS $$
DECLARE
  before ${s}.orders;
  target ${s}.orders;
  is_locked boolean := false;
BEGIN
  SELECT o.* INTO before FROM ${s}.orders o WHERE o.id = target_id;
  IF before.status = 'PENDING' THEN
    PERFORM FROM ${s}.order_due d WHERE d.priority = before.priority AND d.group_name = before.group_name
      AND d.type = before.type AND d.due_at = before.due_at AND d.order_id = before.id FOR UPDATE;
    is_locked := FOUND;
  END IF;
  SELECT o.* INTO target FROM ${s}.orders o WHERE o.id = target_id FOR NO KEY UPDATE;
  IF target.status = 'PENDING' AND NOT (is_locked AND target.version = before.version) THEN
    -- Without a row in order_due it waits behind another order of its key, and cannot get one while it is locked.
    IF EXISTS (
      SELECT FROM ${s}.order_due d WHERE d.priority = target.priority AND d.group_name = target.group_name
        AND d.type = target.type AND d.due_at = target.due_at AND d.order_id = target.id
    ) THEN
      RAISE EXCEPTION 'order %: it changed while it was being locked', target_id USING ERRCODE = 'serialization_failure';
    END IF;
  END IF;
  RETURN target;
END $$`
} as const
