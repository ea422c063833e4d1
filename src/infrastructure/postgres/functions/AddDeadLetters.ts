import {
  groupingText,
  maxGroupsOfType,
  maxGroupVersions,
  otherMessage
} from "../../../domain/FailureGroup.ts"
import { plannerSettings } from "./PlannerSettings.ts"

/** The fingerprint of a group: `text` is an expression for `groupingText` in domain/FailureGroup.ts. */
const fingerprintOf = (text: string) => `encode(substr(sha256(convert_to(${text}, 'UTF8')), 1, 8), 'hex')`

/** The fingerprint of the group `other` of a type, as an expression. */
const otherOf = (type: string) => fingerprintOf(`${type} || '${groupingText("", null, otherMessage)}'`)

/** Sets the arrays to the candidates that become dead letters, with their types and fingerprints. */
const choose = (s: string) => `
  SELECT array_agg(c.id ORDER BY c.nth), array_agg(c.message ORDER BY c.nth), array_agg(c.worker ORDER BY c.nth),
    array_agg(o.type ORDER BY c.nth),
    array_agg(${fingerprintOf("concat_ws(E'\\n', o.type, o.reason_code, c.message)")} ORDER BY c.nth)
  INTO dead_ids, dead_messages, dead_workers, dead_types, fingerprints
  FROM unnest(ids, messages, workers) WITH ORDINALITY AS c (id, message, worker, nth)
  CROSS JOIN LATERAL (
    SELECT o.type, o.reason_code FROM ${s}.orders o
    WHERE o.id = c.id AND o.status = 'FAILED' AND o.discarded_at IS NULL OFFSET 0
  ) o
  WHERE c.message IS NOT NULL AND (SELECT d.order_id FROM ${s}.dead_letters d WHERE d.order_id = c.id) IS NULL;`

/** Sets `groups` to the group of each dead letter, and `is_new` to whether one of them does not exist and fits. */
const place = (s: string) => `
    WITH dead AS MATERIALIZED (
      SELECT d.nth, d.type, d.fingerprint, min(d.nth) OVER (PARTITION BY d.fingerprint) AS first_nth,
        (SELECT true FROM ${s}.order_failure_groups g WHERE g.fingerprint = d.fingerprint) IS TRUE AS is_known
      FROM unnest(dead_types, fingerprints) WITH ORDINALITY AS d (type, fingerprint, nth)
    ), free AS MATERIALIZED (
      SELECT t.type, ${maxGroupsOfType} - (
        SELECT count(*) FROM ${s}.order_failure_groups g WHERE g.type = t.type AND g.reason_code IS NOT NULL) AS count
      FROM (SELECT DISTINCT dead.type FROM dead WHERE NOT dead.is_known) t
    )
    SELECT array_agg(CASE WHEN d.is_known OR d.turn <= d.free THEN d.fingerprint ELSE ${otherOf("d.type")} END ORDER BY d.nth),
      bool_or(NOT d.is_known AND d.turn <= d.free)
    INTO groups, is_new
    FROM (
      SELECT dead.*, free.count AS free, dense_rank() OVER (PARTITION BY dead.type, dead.is_known ORDER BY dead.first_nth) AS turn
      FROM dead LEFT JOIN free ON free.type = dead.type
    ) d;`

/** Inserts the dead letters, and adds them to their groups. */
const add = (s: string) => `
  WITH dead AS MATERIALIZED (
    SELECT d.nth, d.id, d.message, d.fingerprint, o.*, w.started_at, w.version
    FROM unnest(dead_ids, dead_messages, dead_workers, groups) WITH ORDINALITY AS d (id, message, worker, fingerprint, nth)
    CROSS JOIN LATERAL (
      SELECT o.type, o.reason_code, o.failure_reason, o.retry_count, o.updated_at FROM ${s}.orders o WHERE o.id = d.id OFFSET 0
    ) o
    LEFT JOIN LATERAL (
      SELECT w.started_at, w.version FROM ${s}.order_workers w WHERE w.id = d.worker OFFSET 0
    ) w ON true
  ), entries AS (
    INSERT INTO ${s}.dead_letters (order_id, reason, reason_code, retry_count, failed_at, fingerprint)
    SELECT dead.id, dead.failure_reason, dead.reason_code, dead.retry_count, dead.updated_at, dead.fingerprint FROM dead
  )
  INSERT INTO ${s}.order_failure_groups AS g (fingerprint, type, reason_code, message, count, first_seen, last_seen, versions)
  SELECT d.fingerprint, d.type, CASE WHEN NOT d.is_other THEN d.reason_code END,
    CASE WHEN d.is_other THEN '${otherMessage}' ELSE d.message END, d.count, d.seen, d.seen, ARRAY (
      SELECT dead.version FROM dead WHERE dead.fingerprint = d.fingerprint AND dead.version <> ''
      GROUP BY dead.version ORDER BY max(dead.nth) DESC LIMIT ${maxGroupVersions})
  FROM (
    SELECT dead.fingerprint, min(dead.type) AS type, min(dead.reason_code) AS reason_code, min(dead.message) AS message,
      count(*)::integer AS count, max(dead.updated_at) AS seen, dead.fingerprint = ${otherOf("min(dead.type)")} AS is_other
    FROM dead GROUP BY dead.fingerprint
  ) d
  ORDER BY d.fingerprint COLLATE "C"
  ON CONFLICT (fingerprint) DO UPDATE SET
    count = g.count + excluded.count,
    last_seen = greatest(g.last_seen, excluded.last_seen),
    versions = ARRAY (
      SELECT v.version FROM unnest(excluded.versions || g.versions) WITH ORDINALITY AS v (version, nth)
      GROUP BY v.version ORDER BY min(v.nth) LIMIT ${maxGroupVersions}),
    has_regressed = g.has_regressed OR EXISTS (
      SELECT FROM dead WHERE dead.fingerprint = g.fingerprint
        AND CASE WHEN g.fixed_version IS NULL THEN dead.started_at > g.fixed_at ELSE dead.version = g.fixed_version END);`

/**
 * Adds the dead letters of attempts that have just ended, in the transaction that ended them, and counts them in their
 * failure groups. The arrays have the candidates: their orders, normalised reasons and workers, whose rows must still be
 * in the registry. A candidate becomes a dead letter if it has a message, its order is FAILED and not discarded, and it
 * has no dead letter yet; so an attempt whose settle was stale or repeated adds none.
 *
 * The caller has locked the orders. Then follow, only if there is a new group, the lock that limits the number of groups
 * of a type, and the rows of the groups in the sequence of their fingerprints. Statements that delete dead letters lock
 * in the same sequence, so that no two transactions of the platform wait for each other.
 */
export const addDeadLetters = {
  name: "order_platform_add_dead_letters_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_add_dead_letters_v1(ids uuid[], messages text[], workers text[])
RETURNS void LANGUAGE plpgsql
${plannerSettings} AS $$
DECLARE
  dead_ids uuid[];
  dead_messages text[];
  dead_workers text[];
  dead_types text[];
  fingerprints text[];
  groups text[];
  is_new boolean;
  is_locked boolean := false;
BEGIN${choose(s)}
  IF dead_ids IS NULL THEN
    RETURN;
  END IF;
  -- Only who holds the lock adds groups, and looks again after it has waited for it.
  LOOP${place(s)}
    EXIT WHEN is_locked OR NOT is_new;
    PERFORM pg_advisory_xact_lock(hashtextextended('order-platform failure groups of ${s}', 0));
    is_locked := true;
  END LOOP;${add(s)}
END $$`
} as const
