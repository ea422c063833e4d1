import type { Statements } from "./Statements.ts"

// The clock of every statement. It is STABLE and inlined, so that "due_at <= now" can use an index; a condition with
// clock_timestamp(), which is volatile, could not. now() would be the start of the transaction instead of the
// statement. Times have whole milliseconds, as in JavaScript and JSON. Tests, and only tests, replace these
// functions to move time. A claim reads the second one, the time of the call, after it has chosen its orders: an
// attempt that it saw as ended must not end after the one that it starts.
export const clock: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT date_trunc('milliseconds', statement_timestamp()) $$`,
  `CREATE FUNCTION ${s}.order_platform_clock() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT date_trunc('milliseconds', clock_timestamp()) $$`
]

// An order without an ordering key or a group has an empty text there. Every order is updated at least twice. No
// index has a column that an update changes, and the pages keep free space, so that every update is a HOT update: it
// writes no index.
export const orders: Statements = (s) => [
  `CREATE TABLE ${s}.orders (
      id uuid PRIMARY KEY,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      due_at timestamptz CHECK ((due_at IS NULL) = (status IN ('PROCESSED', 'FAILED'))),
      discarded_at timestamptz CHECK (discarded_at IS NULL OR status = 'FAILED'),
      place bigint CHECK ((place IS NULL) = (ordering_key = '')),
      version integer NOT NULL CHECK (version >= 1),
      retry_count integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
      max_retries integer NOT NULL CHECK (max_retries >= 0),
      priority integer NOT NULL CHECK (priority BETWEEN 0 AND 9),
      payload_version integer NOT NULL,
      status text NOT NULL CHECK (status IN ('PENDING', 'PROCESSING', 'PROCESSED', 'FAILED')),
      type text COLLATE "C" NOT NULL CHECK (type <> ''),
      ordering_key text COLLATE "C" NOT NULL,
      group_name text COLLATE "C" NOT NULL,
      worker text CHECK ((worker IS NOT NULL) = (status = 'PROCESSING')),
      cancel_requested text CHECK (cancel_requested IS NULL OR status = 'PROCESSING'),
      failure_reason text,
      reason_code text CHECK ((reason_code IS NULL) = (failure_reason IS NULL)),
      correlation_id text NOT NULL,
      metadata jsonb NOT NULL CHECK (jsonb_typeof(metadata) = 'object'),
      payload jsonb NOT NULL CHECK (jsonb_typeof(payload) = 'object')
    ) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)`,
  `CREATE INDEX orders_newest ON ${s}.orders (created_at, id)`,
  `CREATE INDEX orders_of_type ON ${s}.orders (type, created_at, id) WHERE type <> 'default'`,
  `CREATE INDEX orders_of_key ON ${s}.orders (ordering_key, created_at, id) WHERE ordering_key <> ''`,
  `CREATE INDEX orders_of_group ON ${s}.orders (group_name, created_at, id) WHERE group_name <> ''`
]

// Without a foreign key, which would cost a lookup per event. The guards keep history and order consistent.
export const orderEvents: Statements = (s) => [
  `CREATE TABLE ${s}.order_events (
      order_id uuid NOT NULL,
      version integer NOT NULL,
      event text NOT NULL,
      from_status text,
      to_status text NOT NULL,
      at timestamptz NOT NULL,
      attempt integer NOT NULL,
      worker text,
      reason text,
      reason_code text,
      detail text,
      PRIMARY KEY (order_id, version),
      CHECK (version >= 1 AND attempt >= 1),
      CHECK (concat(event, ': ', from_status, ' -> ', to_status) IN (
        'created:  -> PENDING', 'started: PENDING -> PROCESSING', 'completed: PROCESSING -> PROCESSED',
        'retried: PROCESSING -> PENDING', 'failed: PROCESSING -> FAILED', 'expired: PROCESSING -> PENDING',
        'expired: PROCESSING -> FAILED', 'released: PROCESSING -> PENDING', 'snoozed: PROCESSING -> PENDING',
        'reprocessed: FAILED -> PENDING', 'discarded: FAILED -> FAILED', 'cancelled: PENDING -> FAILED',
        'cancelled: PROCESSING -> FAILED', 'hastened: PENDING -> PENDING'))
    )`
]

// An acknowledged order is on disk, even if synchronous_commit is off by default: every transition inserts an event,
// and this trigger makes its transaction wait for the disk. A trigger costs no round trip, works behind poolers and
// with the app's client, and covers the app's own transactions. Only `off` is changed, because every other value
// waits at least for the local disk.
export const durability: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_wait_for_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER order_events_wait_for_disk BEFORE INSERT ON ${s}.order_events FOR EACH STATEMENT
    WHEN (pg_catalog.current_setting('synchronous_commit') = 'off')
    EXECUTE FUNCTION ${s}.order_platform_wait_for_disk()`
]

export const deadLetters: Statements = (s) => [
  `CREATE TABLE ${s}.dead_letters (
      order_id uuid PRIMARY KEY,
      reason text NOT NULL,
      reason_code text NOT NULL,
      retry_count integer NOT NULL,
      failed_at timestamptz NOT NULL,
      fingerprint text COLLATE "C" NOT NULL
    )`,
  `CREATE INDEX dead_letters_newest ON ${s}.dead_letters (failed_at DESC, order_id DESC)`,
  `CREATE INDEX dead_letters_by_code ON ${s}.dead_letters (reason_code, failed_at, order_id)`,
  `CREATE INDEX dead_letters_of_group ON ${s}.dead_letters (fingerprint, failed_at, order_id)`
]

// The groups of dead letters with the same type, code and normalised message. `count` is the number of dead letters of
// the group now: the function that inserts dead letters adds to it, and this trigger subtracts, whatever statement
// deletes them, so that retention is counted too. The group `other` of a type has no code. A transaction locks rows here
// after rows of orders, and in the sequence of the fingerprints, so that no two wait for each other.
export const failureGroups: Statements = (s) => [
  `CREATE TABLE ${s}.order_failure_groups (
      fingerprint text COLLATE "C" PRIMARY KEY,
      type text COLLATE "C" NOT NULL,
      reason_code text,
      message text NOT NULL,
      count integer NOT NULL,
      first_seen timestamptz NOT NULL,
      last_seen timestamptz NOT NULL,
      versions text[] NOT NULL,
      fixed_at timestamptz,
      fixed_version text CHECK (fixed_version IS NULL OR fixed_at IS NOT NULL),
      has_regressed boolean NOT NULL DEFAULT false CHECK (fixed_at IS NOT NULL OR NOT has_regressed)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500)`,
  `CREATE INDEX order_failure_groups_largest ON ${s}.order_failure_groups ((-count), fingerprint) WHERE count > 0`,
  `CREATE INDEX order_failure_groups_of_type ON ${s}.order_failure_groups (type) WHERE reason_code IS NOT NULL`,
  `CREATE INDEX order_failure_groups_empty ON ${s}.order_failure_groups (last_seen) WHERE count <= 0`,
  `CREATE FUNCTION ${s}.order_platform_count_deleted_dead_letters() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    BEGIN
      IF EXISTS (SELECT FROM deleted) THEN
        PERFORM FROM ${s}.order_failure_groups g WHERE g.fingerprint = ANY (ARRAY (SELECT d.fingerprint FROM deleted d))
        ORDER BY g.fingerprint FOR NO KEY UPDATE;
        UPDATE ${s}.order_failure_groups g SET count = g.count - d.count
        FROM (SELECT deleted.fingerprint, count(*)::integer AS count FROM deleted GROUP BY deleted.fingerprint) d
        WHERE g.fingerprint = d.fingerprint;
      END IF;
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER dead_letters_count_deleted AFTER DELETE ON ${s}.dead_letters REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_count_deleted_dead_letters()`
]

// The final orders, by the time at which they became final, for retention and for rates; and the FAILED ones by the
// time of creation, for their list. `final_at` is the time of the last transition of the order. A list of PROCESSED
// orders reads the newest orders of every status, most of which are PROCESSED.
export const finalOrders: Statements = (s) => [
  `CREATE TABLE ${s}.order_final (
      status text NOT NULL CHECK (status IN ('PROCESSED', 'FAILED')),
      final_at timestamptz NOT NULL,
      order_id uuid NOT NULL,
      created_at timestamptz NOT NULL,
      PRIMARY KEY (status, final_at, order_id)
    )`,
  `CREATE INDEX order_final_failed ON ${s}.order_final (created_at, order_id) WHERE status = 'FAILED'`
]

const pairs = (of: string) => `
  SELECT DISTINCT hashtextextended(value, hashtextextended(key, 0)) AS pair, o.created_at, o.id
  FROM ${of} AS o CROSS JOIN jsonb_each_text(o.metadata)`

// An inverted index of metadata, in the order of the lists. A GIN index has no order, so a list by a frequent value
// would fetch and sort all orders with that value. This table is written once per order, and only for orders with
// metadata. The pair of key and value is stored as a hash, so its size does not depend on the texts.
export const metadata: Statements = (s) => [
  `CREATE TABLE ${s}.order_metadata (
      pair bigint NOT NULL,
      created_at timestamptz NOT NULL,
      order_id uuid NOT NULL,
      PRIMARY KEY (pair, created_at, order_id)
    )`,
  `CREATE FUNCTION ${s}.order_platform_index_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO ${s}.order_metadata (pair, created_at, order_id) ${pairs("(SELECT NEW.*)")};
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER orders_index_metadata AFTER INSERT ON ${s}.orders FOR EACH ROW WHEN (NEW.metadata <> '{}')
    EXECUTE FUNCTION ${s}.order_platform_index_metadata()`,
  `CREATE FUNCTION ${s}.order_platform_delete_metadata() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
    BEGIN
      DELETE FROM ${s}.order_metadata m USING (${pairs("deleted")}) removed
      WHERE m.pair = removed.pair AND m.created_at = removed.created_at AND m.order_id = removed.id;
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER orders_delete_metadata AFTER DELETE ON ${s}.orders REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_delete_metadata()`
]

// The answer is stored as text and not as jsonb: the store does not read the answer, and jsonb cannot store
// every text that a problem may quote. Collation "C", because keys are only compared for equality.
export const idempotencyKeys: Statements = (s) => [
  `CREATE TABLE ${s}.idempotency_keys (
      scope text COLLATE "C" NOT NULL,
      key text COLLATE "C" NOT NULL,
      fingerprint text COLLATE "C" NOT NULL,
      answer text NOT NULL,
      request_id uuid NOT NULL,
      expires_at timestamptz NOT NULL,
      PRIMARY KEY (scope, key)
    )`,
  `CREATE INDEX idempotency_keys_expiry ON ${s}.idempotency_keys (expires_at)`
]

// What operators did.
export const audit: Statements = (s) => [
  `CREATE TABLE ${s}.order_audit (
      number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at timestamptz NOT NULL,
      operator text,
      action text NOT NULL,
      subject text NOT NULL,
      reason text,
      correlation_id text
    )`
]
