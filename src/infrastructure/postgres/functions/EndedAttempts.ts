import { rowsOf } from "./RowsOf.ts"

/**
 * Parts of a statement that ends attempts. `ended` names a CTE with the updated rows of `orders`, and with the
 * columns `event`, `attempt`, `lost_worker` (the worker that held the order), `detail`. Writes the history, and moves
 * the orders from `order_running` to `order_due` or `order_final`. For a key whose order is final, and for lanes that
 * may have become ready, it writes the checks (see migrations/0001/work.ts). `moment` is a variable of the function.
 * The caller adds the dead letters (AddDeadLetters.ts).
 */
export const endAttempts = (s: string, ended: string) => `
  history AS (
    INSERT INTO ${s}.order_events (order_id, version, event, from_status, to_status, at, attempt, worker, reason, reason_code, detail)
    SELECT id, version, event, 'PROCESSING', status, moment, attempt, lost_worker,
      CASE WHEN event IN ('retried', 'failed', 'expired', 'cancelled') THEN failure_reason END,
      CASE WHEN event IN ('retried', 'failed', 'expired', 'cancelled') THEN reason_code END, detail
    FROM ${ended}
  ), no_longer_running AS (
    DELETE FROM ${s}.order_running WHERE ctid = ANY (
      ${rowsOf(s, "order_running", `${ended} e`, "x.worker = e.lost_worker AND x.order_id = e.id")})
  ), due AS (
    INSERT INTO ${s}.order_due (priority, group_name, type, due_at, order_id, is_retry)
    SELECT priority, group_name, type, due_at, id, retry_count > 0 FROM ${ended} WHERE status = 'PENDING'
  ), final AS (
    INSERT INTO ${s}.order_final (status, created_at, order_id, final_at)
    SELECT status, created_at, id, moment FROM ${ended} WHERE status IN ('PROCESSED', 'FAILED')
  ), freed_keys AS (
    DELETE FROM ${s}.order_key_heads WHERE ctid = ANY (
      ${rowsOf(
        s,
        "order_key_heads",
        `(SELECT * FROM ${ended} WHERE ordering_key <> '' AND status IN ('PROCESSED', 'FAILED')) e`,
        "x.type = e.type AND x.ordering_key = e.ordering_key"
      )})
  ), key_checks AS (
    INSERT INTO ${s}.order_key_checks (type, ordering_key)
    SELECT type, ordering_key FROM ${ended} WHERE ordering_key <> '' AND status IN ('PROCESSED', 'FAILED')
  ), lane_checks AS (
    INSERT INTO ${s}.order_lane_checks (priority, group_name, type)
    SELECT DISTINCT priority, group_name, type FROM ${ended}
    WHERE status = 'PENDING' AND (type <> 'default' OR group_name <> '')
    UNION ALL
    SELECT DISTINCT NULL::integer, group_name, NULL::text FROM ${ended} e
    WHERE group_name <> '' AND (SELECT true FROM ${s}.order_groups g WHERE g.group_name = e.group_name)
  )`
