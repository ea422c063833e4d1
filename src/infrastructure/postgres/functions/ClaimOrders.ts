/**
 * Starts up to `max_orders` due orders for one worker and writes their events. The orders are the first ones
 * by priority descending, then due time, then id. It is a function so that it can have planner settings,
 * because a plan made while the table was small must not scan the whole table later. There is one index scan
 * per priority, so that scheduled orders of a high priority are not read.
 */
export const claimOrders = {
  name: "order_platform_claim_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_claim_v1(claimer text, lease interval, max_orders integer)
RETURNS SETOF ${s}.orders LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
BEGIN
  RETURN QUERY
  WITH due AS MATERIALIZED (
    SELECT best.id
    FROM generate_series(9, 0, -1) AS high (priority)
    CROSS JOIN LATERAL (
      SELECT o.id FROM ${s}.orders o
      WHERE o.status = 'PENDING' AND o.priority = high.priority AND o.due_at <= moment
      ORDER BY o.due_at, o.id LIMIT max_orders FOR UPDATE SKIP LOCKED
    ) best
    LIMIT max_orders
  ), started AS (
    UPDATE ${s}.orders o
    SET status = 'PROCESSING', version = o.version + 1, worker = claimer, lease_until = moment + lease, updated_at = moment
    WHERE o.id = ANY (ARRAY (SELECT due.id FROM due))
    RETURNING o.*
  ), history AS (
    INSERT INTO ${s}.order_events (order_id, version, event, from_status, to_status, at, attempt, worker)
    SELECT started.id, started.version, 'started', 'PENDING', 'PROCESSING', moment, started.retry_count + 1, claimer
    FROM started
  )
  SELECT * FROM started;
END $$`
} as const

/** When the next claim can find more orders: the time when the next order becomes due, and the next end of a lease. */
export const nextPoll = {
  name: "order_platform_next_poll_v1",
  create: (s: string) => `
CREATE FUNCTION ${s}.order_platform_next_poll_v1(OUT next_due timestamptz, OUT next_lease_end timestamptz)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
DECLARE
  moment timestamptz := ${s}.order_platform_now();
BEGIN
  SELECT min(first.due_at) INTO next_due
  FROM generate_series(0, 9) AS each (priority)
  CROSS JOIN LATERAL (
    SELECT o.due_at FROM ${s}.orders o
    WHERE o.status = 'PENDING' AND o.priority = each.priority AND o.due_at > moment
    ORDER BY o.due_at, o.id LIMIT 1
  ) first;
  SELECT o.lease_until INTO next_lease_end FROM ${s}.orders o
  WHERE o.status = 'PROCESSING' ORDER BY o.lease_until LIMIT 1;
END $$`
} as const
