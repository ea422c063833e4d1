/**
 * The planner settings of every function: each search uses an index, and each statement is planned once. A plan may
 * be made while the tables are empty; without these settings it would scan or hash whole tables after they have
 * grown, until the next ANALYZE. Planning the statement that starts orders anew for each claim took 0.3 ms.
 */
export const plannerSettings =
  "SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off " +
  "SET jit = off SET plan_cache_mode = force_generic_plan"
