import type { Statements } from "./Statements.ts"

// Tables of few rows that change all the time: vacuum by number of dead rows.
const short = "WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)"

// The PENDING orders that may start once they are due: those without an ordering key, and the head of each key. A
// transaction that locks rows here and in `orders` locks the rows here first.
export const dueOrders: Statements = (s) => [
  `CREATE TABLE ${s}.order_due (
      priority integer NOT NULL,
      group_name text COLLATE "C" NOT NULL,
      type text COLLATE "C" NOT NULL,
      due_at timestamptz NOT NULL,
      order_id uuid NOT NULL,
      is_retry boolean NOT NULL,
      PRIMARY KEY (priority, group_name, type, due_at, order_id)
    ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000)`,
  // For the age of the oldest due order, and for counts. The plain lanes are read by the primary key instead.
  `CREATE INDEX order_due_by_time ON ${s}.order_due (due_at) WHERE type <> 'default' OR group_name <> ''`,
  `CREATE INDEX order_due_retries ON ${s}.order_due (due_at) WHERE is_retry`
]

// The PROCESSING orders, by the worker that holds them.
export const runningOrders: Statements = (s) => [
  `CREATE TABLE ${s}.order_running (
      worker text COLLATE "C" NOT NULL,
      order_id uuid NOT NULL,
      type text COLLATE "C" NOT NULL,
      group_name text COLLATE "C" NOT NULL,
      PRIMARY KEY (worker, order_id)
    ) ${short}`,
  `CREATE INDEX order_running_of_group ON ${s}.order_running (group_name) WHERE group_name <> ''`
]

// The processes that work on orders. `lease_until` is the lease of all orders that the worker holds.
export const workers: Statements = (s) => [
  `CREATE TABLE ${s}.order_workers (
      id text COLLATE "C" PRIMARY KEY,
      lease_until timestamptz NOT NULL,
      is_expired boolean NOT NULL DEFAULT false,
      started_at timestamptz NOT NULL,
      seen_at timestamptz NOT NULL,
      host text NOT NULL DEFAULT '',
      version text NOT NULL DEFAULT '',
      role text NOT NULL DEFAULT 'worker',
      types text[],
      capacity integer NOT NULL DEFAULT 0,
      in_flight integer NOT NULL DEFAULT 0,
      draining boolean NOT NULL DEFAULT false,
      breakers jsonb NOT NULL DEFAULT '[]'
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500)`
]

// Ordering keys. `order_key_heads` has the one order of a key that may run, from its promotion until it is final.
// `order_key_waiting` has the other PENDING orders of keys, by their place. Submit, reprocess and every final
// transition write the key into `order_key_checks`, in their transaction; a claim then promotes the next order of
// each of these keys that has no head. So a submit in a long transaction blocks no claim and no settle, and a submit
// and a settle at the same moment cannot miss each other. Checks are numbered, because a claim takes the oldest and
// the newest ones.
export const orderingKeys: Statements = (s) => [
  `CREATE SEQUENCE ${s}.order_places AS bigint`,
  `CREATE TABLE ${s}.order_key_waiting (
      type text COLLATE "C" NOT NULL,
      ordering_key text COLLATE "C" NOT NULL,
      place bigint NOT NULL,
      order_id uuid NOT NULL,
      group_name text COLLATE "C" NOT NULL,
      PRIMARY KEY (type, ordering_key, place)
    ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000)`,
  `CREATE INDEX order_key_waiting_of_group ON ${s}.order_key_waiting (group_name) WHERE group_name <> ''`,
  `CREATE TABLE ${s}.order_key_heads (
      type text COLLATE "C" NOT NULL,
      ordering_key text COLLATE "C" NOT NULL,
      order_id uuid NOT NULL,
      PRIMARY KEY (type, ordering_key)
    ) ${short}`,
  `CREATE TABLE ${s}.order_key_checks (
      number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      type text COLLATE "C" NOT NULL,
      ordering_key text COLLATE "C" NOT NULL
    ) ${short}`
]

// A lane is the rows of `order_due` with one priority, group and type. The plain lanes (type `default`, no group)
// have no row here, because every claim reads them. Every other lane with rows has a row here or in
// `order_lane_checks`. A lane is `ready` if one of its orders may be startable; a claim reads only ready lanes. A
// claim that finds nothing to start in a ready lane locks it, checks it again, and clears the mark or deletes the
// row. `wake_at` is when the lane becomes ready by time alone; null if something else must happen first. A
// transaction that makes an order of a lane startable writes the lane into `order_lane_checks`. A check without
// priority and type stands for every lane of its group.
export const lanes: Statements = (s) => [
  `CREATE TABLE ${s}.order_lanes (
      priority integer NOT NULL,
      group_name text COLLATE "C" NOT NULL,
      type text COLLATE "C" NOT NULL,
      ready boolean NOT NULL,
      wake_at timestamptz CHECK (wake_at IS NULL OR NOT ready),
      PRIMARY KEY (priority, group_name, type)
    ) ${short}`,
  `CREATE INDEX order_lanes_ready ON ${s}.order_lanes (priority, type, group_name) WHERE ready`,
  `CREATE INDEX order_lanes_wake ON ${s}.order_lanes (wake_at) WHERE wake_at IS NOT NULL`,
  `CREATE INDEX order_lanes_of_group ON ${s}.order_lanes (group_name)`,
  `CREATE TABLE ${s}.order_lane_checks (
      number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      priority integer,
      group_name text COLLATE "C" NOT NULL,
      type text COLLATE "C"
    ) ${short}`
]

// Limits of groups, and what is left of their rate. A claim locks the row of a limited group while it counts the
// group's running orders, so no counter can be wrong. A row that is not `is_set` holds only the tokens of a group
// with default limits.
export const groups: Statements = (s) => [
  `CREATE TABLE ${s}.order_groups (
      group_name text COLLATE "C" PRIMARY KEY,
      is_set boolean NOT NULL,
      max_running integer CHECK (max_running >= 1),
      rate_per_second float8 CHECK (rate_per_second > 0),
      max_pending integer CHECK (max_pending >= 1),
      tokens float8,
      refilled_at timestamptz CHECK ((refilled_at IS NULL) = (tokens IS NULL))
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500)`
]

// An empty type or group means every one.
export const pauses: Statements = (s) => [
  `CREATE TABLE ${s}.order_pauses (
      type text COLLATE "C" NOT NULL,
      group_name text COLLATE "C" NOT NULL,
      reason text NOT NULL,
      operator text,
      since timestamptz NOT NULL,
      resume_at timestamptz,
      PRIMARY KEY (type, group_name)
    )`
]
