import { addDeadLetters } from "./AddDeadLetters.ts"
import { endAttempts } from "./EndedAttempts.ts"
import { ownChange } from "./OwnChange.ts"
import { plannerSettings } from "./PlannerSettings.ts"

const isCancel = `(outcome.event = 'cancelled' OR (o.cancel_requested IS NOT NULL AND outcome.event <> 'completed'))`

/**
 * Writes the outcomes of attempts, and returns one result for each outcome, in the sequence of the outcomes. Each
 * outcome is fenced by the version with which its attempt started. If a cancel was requested, which is a column of
 * the order, every outcome but `completed` becomes a cancel; the column is read from the locked row, so a request
 * that was answered before the outcome is stored is never missed. The updated rows are returned with their outcome,
 * so that no second join is needed. `messages` has the normalised reason of each outcome `failed`, else null.
 */
export const settleOrders = {
  name: "order_platform_settle_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_settle_v1(ids uuid[], versions integer[], attempts integer[], workers text[],
  events text[], delays_ms float8[], reasons text[], reason_codes text[], details text[], messages text[])
RETURNS SETOF text LANGUAGE plpgsql
${plannerSettings} AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
BEGIN
  ${ownChange(`RETURN QUERY
  WITH outcome AS MATERIALIZED (
    SELECT * FROM unnest(ids, versions, attempts, workers, events, delays_ms, reasons, reason_codes, details)
      WITH ORDINALITY AS o (id, version, attempt, worker, event, delay_ms, reason, reason_code, detail, nth)
  ), settled AS (
    UPDATE ${s}.orders AS o SET
      status = CASE WHEN outcome.event = 'completed' THEN 'PROCESSED'
                    WHEN outcome.event = 'failed' OR ${isCancel} THEN 'FAILED' ELSE 'PENDING' END,
      version = o.version + 1,
      retry_count = o.retry_count + CASE WHEN outcome.event IN ('retried', 'failed') AND NOT ${isCancel} THEN 1 ELSE 0 END,
      failure_reason = CASE WHEN ${isCancel} THEN coalesce(o.cancel_requested, 'Cancelled.')
                            ELSE coalesce(outcome.reason, o.failure_reason) END,
      reason_code = CASE WHEN ${isCancel} THEN 'CANCELLED' ELSE coalesce(outcome.reason_code, o.reason_code) END,
      due_at = CASE WHEN outcome.event IN ('completed', 'failed') OR ${isCancel} THEN NULL
                    WHEN outcome.event = 'released' THEN o.due_at
                    ELSE moment + outcome.delay_ms * interval '1 millisecond' END,
      discarded_at = CASE WHEN ${isCancel} THEN moment END,
      worker = NULL,
      cancel_requested = NULL,
      updated_at = moment
    FROM outcome
    WHERE o.id = outcome.id AND o.version = outcome.version AND o.worker = outcome.worker
    RETURNING o.id, o.version, o.status, o.retry_count, o.priority, o.group_name, o.type, o.ordering_key, o.due_at,
      o.created_at, o.discarded_at, o.failure_reason, o.reason_code, outcome.nth, outcome.attempt,
      outcome.worker AS lost_worker, CASE WHEN o.discarded_at IS NULL THEN outcome.event ELSE 'cancelled' END AS event,
      CASE WHEN o.discarded_at IS NULL THEN outcome.detail END AS detail
  ), ${endAttempts(s, "settled")}, result AS (
    SELECT nth, 'settled' AS name FROM settled
    UNION ALL
    -- A scalar subquery: EXISTS could be planned as a hash over the whole history.
    SELECT nth, CASE WHEN (
      SELECT e.worker = o.worker AND (e.event = o.event OR (e.event = 'cancelled' AND o.event <> 'completed'))
      FROM ${s}.order_events e WHERE e.order_id = o.id AND e.version = o.version + 1
    ) THEN 'repeated' ELSE 'stale' END
    FROM outcome o WHERE nth NOT IN (SELECT settled.nth FROM settled)
  )
  SELECT result.name FROM result ORDER BY nth;`)}
  IF 'failed' = ANY (events) THEN
    PERFORM ${s}.${addDeadLetters.name}(ids, messages, workers);
  END IF;
END $$`
} as const
