import { isInForce } from "./Conditions.ts"
import { claimInTurn } from "./ClaimInTurn.ts"
import { dueOrders, start } from "./StartOrders.ts"
import { plannerSettings } from "./PlannerSettings.ts"

/** The columns of `orders`, in their sequence. */
const columns = `id uuid, created_at timestamptz, updated_at timestamptz, due_at timestamptz, discarded_at timestamptz,
  place bigint, version integer, retry_count integer, max_retries integer, priority integer, payload_version integer, status text,
  type text, ordering_key text, group_name text, worker text, cancel_requested text, failure_reason text, reason_code text,
  correlation_id text, metadata jsonb, payload jsonb`

/** Locks the worker's row, unless it is expired. */
const holdWorker = (s: string) =>
  `SELECT w.lease_until INTO held_until FROM ${s}.order_workers w WHERE w.id = claimer AND NOT w.is_expired FOR KEY SHARE;`

/**
 * Starts up to `max_orders` orders that may run, for one worker, and writes their events. Returns the orders, and
 * last a row with what else the claim found out, as JSON: `refused` (the worker was expired), `chosen` (ids in the
 * sequence of the choice, unless it is by priority, due time and id), `incomplete`, `next_due_ms` and
 * `next_lease_end_ms`.
 *
 * The lock of an order's row in `order_due` decides who starts it. Every other change of a PENDING order locks that
 * row first, then the order's row (functions/LockOrder.ts). Only lanes that are ready are read (see
 * migrations/0001/work.ts), so that orders that are scheduled or blocked cost nothing.
 *
 * `turns` has, for each priority from 0 on, the group that was served last: '' for the orders without a group, null
 * for none. `quota_types` and `quotas`: the maximum number of orders of single types.
 *
 * The orders start at the time at which they have been chosen, not at the time at which the claim began: by the
 * record, an order must not start before an attempt ended that the choice no longer counted. Tokens are refilled up
 * to the same time.
 */
export const claimOrders = {
  name: "order_platform_claim_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_claim_v1(claimer text, lease interval, max_orders integer, only_types text[],
  quota_types text[], quotas integer[], turns text[], default_max_running integer, default_rate float8)
RETURNS TABLE (${columns}, info jsonb) LANGUAGE plpgsql
${plannerSettings} AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := ${s}.order_platform_now();
  need integer := max_orders;
  paused_until timestamptz;
  plain boolean := only_types IS NULL OR 'default' = ANY (only_types);
  incomplete boolean := false;
  chosen uuid[];
  chosen_rows tid[];
  sequence uuid[];
  held_until timestamptz;
  has_checks boolean;
  has_lanes boolean;
  has_pauses boolean;
  has_limits boolean;
  next_due timestamptz;
  next_lease_end timestamptz;
  of_priority integer;
  types text[];
  cursor_group text;
  after text;
  wrapped boolean;
  examined integer;
  step integer;
  batch text[];
  allowances integer[];
  limited text[];
  each_max integer;
  chosen_groups text[];
  served integer[];
  active text[];
  done_priorities integer[] := '{}';
  done_groups text[] := '{}';
  first_pass boolean;
  is_first boolean;
BEGIN
  -- Locks the worker's row, so that its orders cannot expire meanwhile. Usually the heartbeat has just extended the lease; an
  -- update by each claim would make a long chain of row versions while a long transaction prevents cleanup.
  ${holdWorker(s)}
  IF NOT FOUND THEN
    INSERT INTO ${s}.order_workers (id, lease_until, started_at, seen_at) VALUES (claimer, moment + lease, moment, moment)
    ON CONFLICT (id) DO NOTHING;
    -- The first heartbeat may register the worker at the same moment, so only a row that is there and expired refuses it.
    ${holdWorker(s)}
    IF NOT FOUND THEN
      info := jsonb_build_object('refused', true);
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  IF held_until < moment + lease / 2 THEN
    UPDATE ${s}.order_workers w SET lease_until = moment + lease, seen_at = moment WHERE w.id = claimer;
  END IF;

  SELECT
    EXISTS (SELECT FROM ${s}.order_key_checks) OR EXISTS (SELECT FROM ${s}.order_lane_checks)
      OR EXISTS (SELECT FROM ${s}.order_lanes l WHERE l.wake_at <= moment),
    EXISTS (SELECT FROM ${s}.order_lanes l WHERE l.ready), EXISTS (SELECT FROM ${s}.order_pauses)
  INTO has_checks, has_lanes, has_pauses;
  IF has_checks THEN
    incomplete := ${s}.order_platform_promote_v1(moment);
    has_lanes := true;
  END IF;
  IF has_pauses THEN
    SELECT coalesce(p.resume_at, 'infinity') INTO paused_until FROM ${s}.order_pauses p
    WHERE p.type = '' AND p.group_name = '' AND ${isInForce("p")};
  END IF;
  IF quota_types IS NOT NULL AND plain AND coalesce(quotas[array_position(quota_types, 'default')], 1) <= 0 THEN
    plain := false;
  END IF;

  IF paused_until IS NOT NULL THEN
    incomplete := false;
  ELSIF plain AND quota_types IS NULL AND NOT has_lanes AND NOT has_pauses THEN
    -- Only plain lanes: one statement for all priorities.
    SELECT coalesce(array_agg(best.id), '{}'), array_agg(best.row) INTO chosen, chosen_rows
    FROM (
      SELECT best.* FROM generate_series(9, 0, -1) AS high (priority)
      CROSS JOIN LATERAL (${dueOrders(s, "high.priority", "''", "'default'", "need")}) best
      LIMIT need
    ) best;
    moment := ${s}.order_platform_clock();
    need := need - cardinality(chosen);
    IF cardinality(chosen) > 0 THEN ${start(s)}
    END IF;
  ELSE
${claimInTurn(s)}  END IF;

  -- Only for a claim that is not full: after a full one the worker claims again.
  IF need > 0 THEN
    next_due := ${s}.order_platform_next_due_v1(moment, plain, paused_until);
  END IF;
  SELECT min(CASE WHEN w.is_expired THEN moment ELSE w.lease_until END) INTO next_lease_end FROM ${s}.order_workers w;
  info := jsonb_build_object('chosen', sequence, 'turns', turns, 'incomplete', incomplete AND need > 0,
    'next_due_ms', extract(epoch FROM next_due - moment) * 1000,
    'next_lease_end_ms', extract(epoch FROM next_lease_end - moment) * 1000);
  RETURN NEXT;
END $$`
} as const
