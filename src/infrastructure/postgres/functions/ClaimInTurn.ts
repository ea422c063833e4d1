import { isPaused, maxRunningOf, rateOf, runningOf, tokensOf, tokenTolerance } from "./Conditions.ts"
import { dueOrders, start } from "./StartOrders.ts"

// The part of the claim function in which groups take turns. Each constant is a step of the loop, and uses the
// variables of the function.

/** The maximum number of groups of one priority that a claim examines. */
const maxGroups = 1000

/** The types of ready lanes that still have a quota, and the largest step that exceeds no quota. */
const readyTypes = (
  s: string
) => `        -- The types of ready lanes, found by skipping from one to the next.
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

`

/** The groups of this step, `batch`: the next ones in turn in the first pass, then those that may give more. */
const nextBatch = (s: string) => `        -- The next groups in turn.
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
`

/** Locks the rows of limited groups, and counts what their limits allow. */
const allowances = (
  s: string
) => `        -- How many orders the limits of each group allow, at most \`each_max\`; null if another claim has locked the
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

`

/** Chooses up to `each_max` orders of each group: one order of each group, then the second ones, and so on. */
const chooseFromBatch = (
  s: string
) => `        SELECT array_agg(c.id ORDER BY c.round, c.turn), array_agg(c.row), array_agg(c.name ORDER BY c.round, c.turn)
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
`

/** Sorts the groups into those that may give more and those to look at again, and takes quotas and tokens. */
const recordServed = (
  s: string
) => `        -- A group goes on if it gave all that was asked of it and may give more.
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
`

/**
 * For each priority with a ready lane, from the highest: serves the groups in turn, one order each, until the claim
 * is full or no group has an order that may start. Equal to a round robin of single orders, but takes several in one
 * statement.
 */
export const claimInTurn = (s: string) => `    sequence := '{}';
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
${readyTypes(s)}${nextBatch(s)}        CONTINUE WHEN cardinality(batch) = 0;
        -- Whole rounds of the groups, if these are all that are left; else one order each.
        each_max := CASE WHEN is_first AND examined > cardinality(batch) THEN 1 ELSE greatest(1, step / cardinality(batch)) END;

${allowances(s)}${chooseFromBatch(s)}        chosen := coalesce(chosen, '{}');
        moment := ${s}.order_platform_clock();
        need := need - cardinality(chosen);
        sequence := sequence || chosen;
        IF cardinality(chosen) > 0 THEN
          turns[of_priority + 1] := chosen_groups[cardinality(chosen)];
        END IF;

${recordServed(s)}        IF cardinality(chosen) > 0 THEN ${start(s)}
        END IF;
      END LOOP;
    END LOOP;
    IF cardinality(done_groups) > 0 THEN
      PERFORM ${s}.order_platform_close_lanes_v1(moment, done_priorities, done_groups, default_max_running, default_rate);
    END IF;
`
