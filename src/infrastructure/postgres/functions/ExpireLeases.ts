import { workerLost } from "../../../domain/Failure.ts"
import { groupMessageOf } from "../../../domain/FailureGroup.ts"
import { addDeadLetters } from "./AddDeadLetters.ts"
import { endAttempts } from "./EndedAttempts.ts"
import { ownChange } from "./OwnChange.ts"
import { plannerSettings } from "./PlannerSettings.ts"

const isLastAttempt = "o.retry_count + 1 >= greatest(1, o.max_retries)"

/**
 * Takes up to `max_orders` orders away from workers whose lease has ended, which counts as a failed attempt, and
 * returns them. The worker is refused from then on, and leaves the registry with its last order. Workers and orders
 * that are locked, by a claim, a heartbeat or a settle, are skipped. The dead letters of all workers are added together,
 * so that the rows of failure groups are locked in sequence.
 */
export const expireLeases = {
  name: "order_platform_expire_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_expire_v1(max_orders integer)
RETURNS SETOF ${s}.orders LANGUAGE plpgsql
${plannerSettings} AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
  lost text;
  ids uuid[];
  room integer := max_orders;
  expired_ids uuid[] := '{}';
  expired_workers text[] := '{}';
  finished text[] := '{}';
BEGIN
  FOR lost IN
    SELECT w.id FROM ${s}.order_workers w WHERE w.lease_until <= moment
    ORDER BY w.lease_until, w.id FOR UPDATE SKIP LOCKED
  LOOP
    EXIT WHEN room <= 0;
    ids := ARRAY (
      SELECT o.id FROM ${s}.order_running r
      CROSS JOIN LATERAL (
        SELECT o.id FROM ${s}.orders o WHERE o.id = r.order_id AND o.worker = lost FOR NO KEY UPDATE SKIP LOCKED
      ) o
      WHERE r.worker = lost ORDER BY r.order_id LIMIT room
    );
    ${ownChange(`RETURN QUERY
    WITH expired AS (
      UPDATE ${s}.orders AS o SET
        status = CASE WHEN o.cancel_requested IS NOT NULL OR ${isLastAttempt} THEN 'FAILED' ELSE 'PENDING' END,
        version = o.version + 1,
        retry_count = o.retry_count + CASE WHEN o.cancel_requested IS NULL THEN 1 ELSE 0 END,
        failure_reason = coalesce(o.cancel_requested, '${workerLost.reason}'),
        reason_code = CASE WHEN o.cancel_requested IS NULL THEN '${workerLost.reasonCode}' ELSE 'CANCELLED' END,
        due_at = CASE WHEN o.cancel_requested IS NOT NULL OR ${isLastAttempt} THEN NULL ELSE moment END,
        discarded_at = CASE WHEN o.cancel_requested IS NOT NULL THEN moment END,
        worker = NULL,
        cancel_requested = NULL,
        updated_at = moment
      WHERE o.id = ANY (ids)
      RETURNING o.*
    ), ended AS (
      SELECT *, CASE WHEN discarded_at IS NULL THEN 'expired' ELSE 'cancelled' END AS event,
        CASE WHEN discarded_at IS NULL THEN retry_count ELSE retry_count + 1 END AS attempt,
        lost AS lost_worker, NULL::text AS detail
      FROM expired
    ), ${endAttempts(s, "ended")}
    SELECT * FROM expired;`)}
    room := room - cardinality(ids);
    expired_ids := expired_ids || ids;
    expired_workers := expired_workers || array_fill(lost, ARRAY[cardinality(ids)]);
    IF NOT EXISTS (SELECT FROM ${s}.order_running r WHERE r.worker = lost) THEN
      finished := finished || lost;
    ELSIF cardinality(ids) > 0 THEN
      UPDATE ${s}.order_workers w SET is_expired = true WHERE w.id = lost;
    END IF;
  END LOOP;
  IF cardinality(expired_ids) > 0 THEN
    PERFORM ${s}.${addDeadLetters.name}(
      expired_ids, array_fill('${groupMessageOf(workerLost.reason)}'::text, ARRAY[cardinality(expired_ids)]), expired_workers);
  END IF;
  DELETE FROM ${s}.order_workers w WHERE w.id = ANY (finished);
END $$`
} as const
