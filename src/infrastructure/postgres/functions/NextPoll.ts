/** When the next claim can find something new: the next time an order becomes due, and the next end of a lease. */
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
