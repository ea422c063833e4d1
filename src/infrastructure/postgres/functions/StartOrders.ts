import { ownChange } from "./OwnChange.ts"

/** Starts the orders `chosen`, whose rows in `order_due`, `chosen_rows`, the claim has locked, and returns them. */
export const start = (s: string) =>
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
 * The first due orders of one lane, whose rows in `order_due` are locked. `ctid` finds a locked row again without an
 * index.
 */
export const dueOrders = (s: string, priority: string, group: string, type: string, limit: string) => `
  SELECT d.ctid AS row, d.order_id AS id, d.due_at, d.type FROM ${s}.order_due d
  WHERE d.priority = ${priority} AND d.group_name = ${group} AND d.type = ${type} AND d.due_at <= moment
  ORDER BY d.due_at, d.order_id LIMIT ${limit} FOR UPDATE SKIP LOCKED`
