/**
 * Writes the outcomes of attempts, and returns one result for each outcome, in the sequence of the outcomes.
 * Each outcome is fenced by the version with which its attempt started. It is a function so that it can have
 * planner settings: each outcome must find its order by the primary key, even if the planner's statistics are
 * from an empty table.
 *
 * The condition is `lease_until IS NOT NULL`, which a check of the table makes equivalent to the status
 * PROCESSING. For a condition on the status the planner would use orders_lease_end and compare every running
 * order with every outcome. For the same reason the updated rows are returned with their outcome, so that no
 * second join is needed.
 */
export const settleOrders = {
  name: "order_platform_settle_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_settle_v1(ids uuid[], versions integer[], attempts integer[], workers text[],
  events text[], delays_ms float8[], reasons text[], reason_codes text[], details text[])
RETURNS SETOF text LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
BEGIN
  RETURN QUERY
  WITH outcome AS MATERIALIZED (
    SELECT * FROM unnest(ids, versions, attempts, workers, events, delays_ms, reasons, reason_codes, details)
      WITH ORDINALITY AS o (id, version, attempt, worker, event, delay_ms, reason, reason_code, detail, place)
  ), settled AS (
    UPDATE ${s}.orders AS o SET
      status = CASE outcome.event WHEN 'completed' THEN 'PROCESSED' WHEN 'failed' THEN 'FAILED' ELSE 'PENDING' END,
      version = o.version + 1,
      retry_count = o.retry_count + CASE WHEN outcome.event IN ('retried', 'failed') THEN 1 ELSE 0 END,
      failure_reason = coalesce(outcome.reason, o.failure_reason),
      due_at = CASE WHEN outcome.event IN ('completed', 'failed') THEN NULL
                    WHEN outcome.event = 'released' THEN o.due_at
                    ELSE moment + outcome.delay_ms * interval '1 millisecond' END,
      worker = NULL,
      lease_until = NULL,
      updated_at = moment
    FROM outcome
    WHERE o.id = outcome.id AND o.version = outcome.version AND o.lease_until IS NOT NULL
    RETURNING o.id, o.version, o.status, o.retry_count, outcome.place, outcome.event, outcome.attempt,
      outcome.worker, outcome.reason, outcome.reason_code, outcome.detail
  ), history AS (
    INSERT INTO ${s}.order_events (order_id, version, event, from_status, to_status, at, attempt, worker, reason, reason_code, detail)
    SELECT id, version, event, 'PROCESSING', status, moment, attempt, worker, reason, reason_code, detail FROM settled
  ), dead_lettered AS (
    INSERT INTO ${s}.dead_letters (order_id, reason, reason_code, retry_count, failed_at)
    SELECT id, reason, reason_code, retry_count, moment FROM settled WHERE status = 'FAILED'
  ), result AS (
    SELECT place, 'settled' AS name FROM settled
    UNION ALL
    -- A scalar subquery: EXISTS could be planned as a hash over the whole history.
    SELECT place, CASE WHEN (
      SELECT e.event = o.event AND e.worker = o.worker
      FROM ${s}.order_events e WHERE e.order_id = o.id AND e.version = o.version + 1
    ) THEN 'repeated' ELSE 'stale' END
    FROM outcome o WHERE place NOT IN (SELECT settled.place FROM settled)
  )
  SELECT result.name FROM result ORDER BY place;
END $$`
} as const
