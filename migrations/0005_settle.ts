import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** The settle as a function with a plan of its own, and a guard that costs a plain transition next to nothing. */
export default (schema: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const s = `"${schema}"`
    const run = (statement: string) => sql.unsafe(statement)

    // The outcomes of attempts, each fenced by the version it was started with. As the claim, a function because a
    // function can carry planner settings: each outcome looks its order up by the primary key, whatever the planner
    // believes of a table that was empty a moment ago, and of arrays whose length it does not know. In the words of
    // lease_until, which a check makes the same as status, because by status it would take orders_lease_end, and compare
    // every order that is PROCESSING with every outcome. What was updated carries its outcome along for the same reason.
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_settle(ids uuid[], versions integer[], attempts integer[], workers text[],
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
        ), buried AS (
          INSERT INTO ${s}.dead_letters (order_id, reason, reason_code, retry_count, failed_at)
          SELECT id, reason, reason_code, retry_count, moment FROM settled WHERE status = 'FAILED'
        ), result AS (
          SELECT place, 'settled' AS said FROM settled
          UNION ALL
          -- No EXISTS, which the planner may turn into a table of the whole history.
          SELECT place, CASE WHEN (
            SELECT e.event = o.event AND e.worker = o.worker
            FROM ${s}.order_events e WHERE e.order_id = o.id AND e.version = o.version + 1
          ) THEN 'repeated' ELSE 'stale' END
          FROM outcome o WHERE place NOT IN (SELECT settled.place FROM settled)
        )
        SELECT said FROM result ORDER BY place;
      END $$`)

    // What every order goes through is recognised by the trigger's own condition, which needs no call; only what is
    // anything else is looked at by the function, as before. Replaced, because to drop it would wait for readers too.
    yield* run(`
      CREATE OR REPLACE TRIGGER orders_guard_update BEFORE UPDATE ON ${s}.orders FOR EACH ROW
      WHEN ((
        NEW.version = OLD.version + 1
        AND (OLD.status = 'PENDING' AND NEW.status = 'PROCESSING' OR OLD.status = 'PROCESSING' AND NEW.status <> 'PROCESSING')
        AND OLD.discarded_at IS NULL AND NEW.discarded_at IS NULL
        AND NEW.id = OLD.id AND NEW.created_at = OLD.created_at
        AND NEW.priority = OLD.priority AND NEW.max_retries = OLD.max_retries
      ) IS NOT TRUE)
      EXECUTE FUNCTION ${s}.order_platform_guard_order()`)
  })
