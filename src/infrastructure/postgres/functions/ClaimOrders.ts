import {
  isInForce,
  isPaused,
  maxRunningOf,
  rateOf,
  runningOf,
  tokensOf,
  tokenTolerance
} from "./Conditions.ts"
import { ownChange } from "./OwnChange.ts"

/** The columns of `orders`, in their sequence. */
const columns = `id uuid, created_at timestamptz, updated_at timestamptz, due_at timestamptz, discarded_at timestamptz,
  place bigint, version integer, retry_count integer, max_retries integer, priority integer, payload_version integer, status text,
  type text, ordering_key text, group_name text, worker text, cancel_requested text, failure_reason text, reason_code text,
  correlation_id text, metadata jsonb, payload jsonb`

/** The maximum number of groups of one priority that a claim examines. */
const maxGroups = 1000

/** Starts the orders `chosen`, whose rows in `order_due`, `chosen_rows`, the claim has locked, and returns them. */
const start = (s: string) =>
  ownChange(`
  RETURN QUERY
  WITH started AS (
    UPDATE ${s}.orders o SET status = 'PROCESSING', version = o.version + 1, worker = claimer, updated_at = moment
    WHERE o.id = ANY (chosen) AND o.status = 'PENDING'
    RETURNING o.*
  ), no_longer_due AS (
    DELETE FROM ${s}.order_due d WHERE d.ctid = ANY (chosen_rows)
  ), running AS (
    INSERT INTO ${s}.order_running (worker, order_id, type, group_name)
    SELECT claimer, started.id, started.type, started.group_name FROM started
  ), history AS (
    INSERT INTO ${s}.order_events (order_id, version, event, from_status, to_status, at, attempt, worker)
    SELECT started.id, started.version, 'started', 'PENDING', 'PROCESSING', moment, started.retry_count + 1, claimer
    FROM started
  )
  SELECT started.*, NULL::jsonb FROM started;`)

/**
 * The first due orders of one lane, whose rows in `order_due` are locked. `ctid` finds a locked row again without an index.
 */
const dueOrders = (s: string, priority: string, group: string, type: string, limit: string) => `
  SELECT d.ctid AS row, d.order_id AS id, d.due_at, d.type FROM ${s}.order_due d
  WHERE d.priority = ${priority} AND d.group_name = ${group} AND d.type = ${type} AND d.due_at <= moment
  ORDER BY d.due_at, d.order_id LIMIT ${limit} FOR UPDATE SKIP LOCKED`

/**
 * Starts up to `max_orders` orders that may run, for one worker, and writes their events. Returns the orders, and last a row with
 * what else the claim found out, as JSON: `refused` (the worker was expired), `chosen` (ids in the sequence of the choice, unless
 * it is by priority, due time and id), `incomplete`, `next_due_ms` and `next_lease_end_ms`.
 *
 * The lock of an order's row in `order_due` decides who starts it. Whoever else changes a PENDING order locks that row first, then the
 * order's row (functions/LockOrder.ts). Only lanes that are ready are read (see migrations/0001/work.ts), so that orders that are scheduled or blocked cost nothing.
 *
 * `turns` has, for each priority from 0 on, the group that was served last: '' for the orders without a group, null for none.
 * `quota_types` and `quotas`: the maximum number of orders of single types.
 *
 * The orders start at the time at which they have been chosen, not at the time at which the claim began: by the record, an order must
 * not start before an attempt ended that the choice no longer counted. Tokens are refilled up to the same time.
 *
 * It is a function so that it can have planner settings, because a plan made while the tables were small must not scan whole
 * tables later.
 */
export const claimOrders = {
  name: "order_platform_claim_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_claim_v1(claimer text, lease interval, max_orders integer, only_types text[],
  quota_types text[], quotas integer[], turns text[], default_max_running integer, default_rate float8)
RETURNS TABLE (${columns}, info jsonb) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
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
  SELECT w.lease_until INTO held_until FROM ${s}.order_workers w WHERE w.id = claimer AND NOT w.is_expired FOR KEY SHARE;
  IF FOUND THEN
    IF held_until < moment + lease / 2 THEN
      UPDATE ${s}.order_workers w SET lease_until = moment + lease, seen_at = moment WHERE w.id = claimer;
    END IF;
  ELSE
    INSERT INTO ${s}.order_workers (id, lease_until, started_at, seen_at) VALUES (claimer, moment + lease, moment, moment)
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
      info := jsonb_build_object('refused', true);
      RETURN NEXT;
      RETURN;
    END IF;
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
    sequence := '{}';
    has_limits := default_max_running IS NOT NULL OR default_rate IS NOT NULL OR EXISTS (SELECT FROM ${s}.order_groups);
    FOR of_priority IN
      SELECT high FROM generate_series(9, 0, -1) AS high
      -- Not EXISTS, which may be planned as a hash of all due orders.
      WHERE (SELECT true FROM ${s}.order_lanes l WHERE l.ready AND l.priority = high LIMIT 1)
        OR (plain AND (
          SELECT true FROM ${s}.order_due d
          WHERE d.priority = high AND d.group_name = '' AND d.type = 'default' AND d.due_at <= moment LIMIT 1))
    LOOP
      EXIT WHEN need <= 0;
      cursor_group := turns[of_priority + 1];
      after := cursor_group;
      wrapped := cursor_group IS NULL;
      examined := 0;
      active := '{}';
      first_pass := true;
      LOOP
        EXIT WHEN need <= 0;
        -- The types of ready lanes, found by skipping from one to the next.
        types := ARRAY (
          WITH RECURSIVE present (type) AS (
            (SELECT l.type FROM ${s}.order_lanes l WHERE l.ready AND l.priority = of_priority ORDER BY l.type LIMIT 1)
            UNION ALL
            SELECT (SELECT l.type FROM ${s}.order_lanes l WHERE l.ready AND l.priority = of_priority AND l.type > present.type
                    ORDER BY l.type LIMIT 1)
            FROM present WHERE present.type IS NOT NULL
          )
          SELECT present.type FROM present
          WHERE present.type IS NOT NULL AND (only_types IS NULL OR present.type = ANY (only_types))
            AND (quota_types IS NULL OR coalesce(quotas[array_position(quota_types, present.type)], 1) > 0)
        );
        plain := plain AND (quota_types IS NULL OR coalesce(quotas[array_position(quota_types, 'default')], 1) > 0);
        -- No type can get more than its quota if no step is larger than the smallest quota.
        step := least(need, (SELECT min(q) FROM unnest(quotas) AS q WHERE q > 0));

        -- The next groups in turn.
        is_first := first_pass;
        IF first_pass THEN
          batch := '{}';
          IF NOT wrapped THEN
            batch := ${s}.order_platform_next_groups_v1(of_priority, types, plain, moment, after, NULL, step);
            IF cardinality(batch) < step THEN
              wrapped := true;
              after := NULL;
            END IF;
          END IF;
          IF wrapped AND cardinality(batch) < step THEN
            batch := batch || ${s}.order_platform_next_groups_v1(
              of_priority, types, plain, moment, after, cursor_group, step - cardinality(batch));
          END IF;
          first_pass := cardinality(batch) = step AND examined < ${maxGroups};
          incomplete := incomplete OR (cardinality(batch) = step AND examined >= ${maxGroups});
          examined := examined + cardinality(batch);
          after := coalesce(batch[cardinality(batch)], after);
        ELSE
          EXIT WHEN cardinality(active) = 0;
          batch := active[1:step];
          active := active[step + 1:];
        END IF;
        CONTINUE WHEN cardinality(batch) = 0;
        -- Whole rounds of the groups, if these are all that are left; else one order each.
        each_max := CASE WHEN is_first AND examined > cardinality(batch) THEN 1 ELSE greatest(1, step / cardinality(batch)) END;

        -- How many orders the limits of each group allow, at most \`each_max\`; null if another claim has locked the
        -- group, or if its row is gone.
        allowances := NULL;
        IF has_limits THEN
          IF default_max_running IS NOT NULL OR default_rate IS NOT NULL THEN
            INSERT INTO ${s}.order_groups (group_name, is_set)
            SELECT b.name, false FROM unnest(batch) AS b (name)
            WHERE b.name <> '' AND (SELECT g.group_name FROM ${s}.order_groups g WHERE g.group_name = b.name) IS NULL
            ORDER BY b.name ON CONFLICT DO NOTHING;
          END IF;
          limited := ARRAY (
            SELECT g.group_name FROM ${s}.order_groups g WHERE g.group_name = ANY (batch) FOR NO KEY UPDATE SKIP LOCKED);
          allowances := ARRAY (
            SELECT CASE
              WHEN g.group_name IS NULL
                THEN CASE WHEN b.name = '' OR (default_max_running IS NULL AND default_rate IS NULL) THEN each_max END
              WHEN g.group_name = ANY (limited) THEN greatest(0, least(
                each_max,
                CASE WHEN ${maxRunningOf("g")} IS NOT NULL
                  THEN ${maxRunningOf("g")} - ${runningOf(s, "g.group_name", maxRunningOf("g"))} END,
                CASE WHEN ${rateOf("g")} IS NOT NULL THEN floor(${tokensOf("g")} + ${tokenTolerance})::integer END))
            END
            FROM unnest(batch) WITH ORDINALITY AS b (name, turn)
            LEFT JOIN LATERAL (
              SELECT * FROM ${s}.order_groups g WHERE g.group_name = b.name AND b.name <> '' OFFSET 0
            ) g ON true
            ORDER BY b.turn);
          incomplete := incomplete OR array_position(allowances, NULL) IS NOT NULL;
        END IF;

        SELECT array_agg(c.id ORDER BY c.round, c.turn), array_agg(c.row), array_agg(c.name ORDER BY c.round, c.turn)
        INTO chosen, chosen_rows, chosen_groups
        FROM (
          SELECT due.id, due.row, b.name, b.turn, row_number() OVER (PARTITION BY b.turn ORDER BY due.due_at, due.id) AS round
          FROM unnest(batch, allowances) WITH ORDINALITY AS b (name, allowance, turn)
          CROSS JOIN LATERAL (
            SELECT lane_due.* FROM (
              SELECT open.type FROM (
                SELECT l.type FROM ${s}.order_lanes l
                WHERE l.priority = of_priority AND l.group_name = b.name AND l.ready AND l.type = ANY (types)
                UNION ALL
                SELECT 'default' WHERE plain AND b.name = ''
              ) AS open
              WHERE NOT ${isPaused(s, "open.type", "b.name")}
              OFFSET 0
            ) AS lane
            CROSS JOIN LATERAL (${dueOrders(s, "of_priority", "b.name", "lane.type", "CASE WHEN allowances IS NULL THEN each_max ELSE coalesce(b.allowance, 0) END")}) AS lane_due
            ORDER BY lane_due.due_at, lane_due.id
            LIMIT CASE WHEN allowances IS NULL THEN each_max ELSE coalesce(b.allowance, 0) END
          ) due
        ) c;
        chosen := coalesce(chosen, '{}');
        moment := ${s}.order_platform_clock();
        need := need - cardinality(chosen);
        sequence := sequence || chosen;
        IF cardinality(chosen) > 0 THEN
          turns[of_priority + 1] := chosen_groups[cardinality(chosen)];
        END IF;

        -- A group goes on if it gave all that was asked of it and may give more.
        served := ARRAY (
          SELECT (SELECT count(*)::integer FROM unnest(chosen_groups) AS c (name) WHERE c.name = b.name)
          FROM unnest(batch) WITH ORDINALITY AS b (name, turn) ORDER BY b.turn);
        active := active || ARRAY (
          SELECT b.name FROM unnest(batch, served) WITH ORDINALITY AS b (name, count, turn)
          WHERE b.count = each_max ORDER BY b.turn);
        SELECT done_priorities || coalesce(array_agg(of_priority), '{}'), done_groups || coalesce(array_agg(b.name), '{}')
        INTO done_priorities, done_groups
        FROM unnest(batch, served, allowances) AS b (name, count, allowance)
        WHERE b.count < each_max AND (allowances IS NULL OR b.allowance IS NOT NULL);
        IF quota_types IS NOT NULL AND cardinality(chosen) > 0 THEN
          quotas := ARRAY (
            SELECT q.quota - (SELECT count(*)::integer FROM ${s}.orders o WHERE o.id = ANY (chosen) AND o.type = q.type)
            FROM unnest(quota_types, quotas) WITH ORDINALITY AS q (type, quota, nth) ORDER BY q.nth);
        END IF;
        IF has_limits AND cardinality(chosen) > 0 THEN
          UPDATE ${s}.order_groups g
          SET tokens = ${tokensOf("g")} - served[array_position(batch, g.group_name)], refilled_at = moment
          WHERE g.group_name = ANY (batch) AND g.group_name <> '' AND served[array_position(batch, g.group_name)] > 0
            AND ${rateOf("g")} IS NOT NULL;
        END IF;
        IF cardinality(chosen) > 0 THEN ${start(s)}
        END IF;
      END LOOP;
    END LOOP;
    IF cardinality(done_groups) > 0 THEN
      PERFORM ${s}.order_platform_close_lanes_v1(moment, done_priorities, done_groups, default_max_running, default_rate);
    END IF;
  END IF;

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
