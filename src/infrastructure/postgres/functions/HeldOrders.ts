import { plannerSettings } from "./PlannerSettings.ts"

/**
 * The orders that a worker holds. A function, because a plan that was made while `orders` was small would read the
 * whole table with each heartbeat.
 */
export const heldOrders = {
  name: "order_platform_held_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_held_v1(holder text)
RETURNS TABLE (id uuid, version integer, retry_count integer, updated_at timestamptz, cancel_requested text, worker text)
LANGUAGE plpgsql STABLE
${plannerSettings} AS $$
BEGIN
  RETURN QUERY
  SELECT o.* FROM ${s}.order_running r CROSS JOIN LATERAL (
    SELECT o.id, o.version, o.retry_count, o.updated_at, o.cancel_requested, o.worker FROM ${s}.orders o
    WHERE o.id = r.order_id AND o.worker = holder OFFSET 0
  ) o
  WHERE r.worker = holder;
END $$`
} as const
