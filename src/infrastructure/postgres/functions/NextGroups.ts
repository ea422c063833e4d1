import { plannerSettings } from "./PlannerSettings.ts"

/**
 * Up to `max_groups` groups of one priority that may have an order to start, in the sequence of their names: those
 * after the group `after` (null: from the first one on), up to the group `until` (null: to the last one). The orders
 * without a group are the group ''. Reads only ready lanes of these types.
 */
export const nextGroups = {
  name: "order_platform_next_groups_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_next_groups_v1(of_priority integer, types text[], plain boolean, moment timestamptz,
  after text, until text, max_groups integer)
RETURNS text[] LANGUAGE plpgsql STABLE ${plannerSettings} AS $$
BEGIN
  RETURN ARRAY (
    SELECT DISTINCT found.group_name FROM (
      SELECT ''::text COLLATE "C" AS group_name
      WHERE plain AND after IS NULL AND EXISTS (
        SELECT FROM ${s}.order_due d
        WHERE d.priority = of_priority AND d.group_name = '' AND d.type = 'default' AND d.due_at <= moment)
      UNION ALL
      SELECT lane.group_name FROM unnest(types) AS t (type)
      CROSS JOIN LATERAL (
        SELECT l.group_name FROM ${s}.order_lanes l
        WHERE l.ready AND l.priority = of_priority AND l.type = t.type
          AND (after IS NULL OR l.group_name > after) AND (until IS NULL OR l.group_name <= until)
        ORDER BY l.group_name LIMIT max_groups
      ) lane
    ) found
    ORDER BY found.group_name LIMIT max_groups
  );
END $$`
} as const
