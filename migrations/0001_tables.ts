import { Effect } from "effect"
import { SqlClient } from "effect/sql"

type Statements = (s: string) => ReadonlyArray<string>

const pairs = (of: string) => `
  SELECT DISTINCT hashtextextended(value, hashtextextended(key, 0)) AS pair, o.created_at, o.id
  FROM ${of} AS o CROSS JOIN jsonb_each_text(o.metadata)`

// The clock of every statement. It is STABLE and inlined, so that "due_at <= now" can use an index; a
// condition with clock_timestamp(), which is volatile, could not. now() would be the start of the transaction
// instead of the statement. Times have whole milliseconds, as in JavaScript and JSON. Tests, and only tests,
// replace this function to move time.
const clock: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT date_trunc('milliseconds', statement_timestamp()) $$`
]

// Every order is updated at least twice, so pages keep free space for new row versions, and the table is
// vacuumed early.
const orders: Statements = (s) => [
  `CREATE TABLE ${s}.orders (
      id uuid PRIMARY KEY,
      status text NOT NULL CHECK (status IN ('PENDING', 'PROCESSING', 'PROCESSED', 'FAILED')),
      version integer NOT NULL CHECK (version >= 1),
      retry_count integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
      max_retries integer NOT NULL CHECK (max_retries >= 0),
      priority integer NOT NULL CHECK (priority BETWEEN 0 AND 9),
      due_at timestamptz CHECK ((due_at IS NULL) = (status IN ('PROCESSED', 'FAILED'))),
      worker text CHECK ((worker IS NOT NULL) = (status = 'PROCESSING')),
      lease_until timestamptz CHECK ((lease_until IS NOT NULL) = (status = 'PROCESSING')),
      failure_reason text,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      discarded_at timestamptz CHECK (discarded_at IS NULL OR status = 'FAILED'),
      correlation_id text NOT NULL,
      payload_version integer NOT NULL,
      payload jsonb NOT NULL CHECK (jsonb_typeof(payload) = 'object'),
      metadata jsonb NOT NULL CHECK (jsonb_typeof(metadata) = 'object')
    ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)`,
  `CREATE INDEX orders_due ON ${s}.orders (priority, due_at, id) WHERE status = 'PENDING'`,
  `CREATE INDEX orders_lease_end ON ${s}.orders (lease_until) WHERE status = 'PROCESSING'`,
  // Final orders by status and time, for the rate at which orders become final, and for retention, which may
  // keep one status longer than the other.
  `CREATE INDEX orders_final ON ${s}.orders (status, updated_at) WHERE status IN ('PROCESSED', 'FAILED')`,
  // For lists of one status, and for lists of all orders, which merge the four statuses.
  `CREATE INDEX orders_newest ON ${s}.orders (status, created_at, id)`,
  // PENDING orders with a failed attempt. The condition does not name status, so that no plan uses
  // orders_newest instead and reads every waiting order. The checks above make the condition equivalent to
  // one with status = 'PENDING'.
  `CREATE INDEX orders_retrying ON ${s}.orders (created_at, id)
    WHERE retry_count > 0 AND due_at IS NOT NULL AND worker IS NULL`
]

// Without a foreign key, which would cost a lookup per event. The guards below keep history and order consistent.
const orderEvents: Statements = (s) => [
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
        'reprocessed: FAILED -> PENDING', 'discarded: FAILED -> FAILED'))
    )`
]

// An acknowledged order is on disk, even if synchronous_commit is off by default: every transition inserts an event,
// and this trigger makes its transaction wait for the disk. A trigger costs no round trip, works behind poolers and
// with the app's client, and covers the app's own transactions. Only `off` is changed, because every other value waits
// at least for the local disk.
const durability: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_wait_for_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER order_events_wait_for_disk BEFORE INSERT ON ${s}.order_events FOR EACH STATEMENT
    WHEN (pg_catalog.current_setting('synchronous_commit') = 'off')
    EXECUTE FUNCTION ${s}.order_platform_wait_for_disk()`
]

const deadLetters: Statements = (s) => [
  `CREATE TABLE ${s}.dead_letters (
      order_id uuid PRIMARY KEY,
      reason text NOT NULL,
      reason_code text NOT NULL,
      retry_count integer NOT NULL,
      failed_at timestamptz NOT NULL
    )`,
  `CREATE INDEX dead_letters_newest ON ${s}.dead_letters (failed_at DESC, order_id DESC)`,
  `CREATE INDEX dead_letters_by_code ON ${s}.dead_letters (reason_code, failed_at, order_id)`
]

// An inverted index of metadata, in the order of the lists. A GIN index has no order, so a list by a frequent
// value would fetch and sort all orders with that value. A GIN index is also updated with each new row
// version. This table is written once per order, and only for orders with metadata. The pair of key and value
// is stored as a hash, so its size does not depend on the texts.
const metadata: Statements = (s) => [
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
const idempotencyKeys: Statements = (s) => [
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

const guardTransitions: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_guard_order() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      edge text := concat(OLD.status, ' -> ', NEW.status);
    BEGIN
      IF NEW.version = OLD.version THEN
        OLD.lease_until := NEW.lease_until;
        IF NEW IS DISTINCT FROM OLD THEN
          RAISE EXCEPTION 'order %: % without a new version; a transition raises the version by one', OLD.id, edge
            USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
      END IF;
      IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'order %: % from version % to %; a transition raises the version by one',
          OLD.id, edge, OLD.version, NEW.version USING ERRCODE = 'check_violation';
      END IF;
      IF edge NOT IN ('PENDING -> PROCESSING', 'PROCESSING -> PROCESSED', 'PROCESSING -> PENDING',
                      'PROCESSING -> FAILED', 'FAILED -> PENDING', 'FAILED -> FAILED')
        OR OLD.discarded_at IS NOT NULL OR (NEW.discarded_at IS NOT NULL) <> (edge = 'FAILED -> FAILED') THEN
        RAISE EXCEPTION 'order %: % is not an edge of the state machine%', OLD.id, edge,
          CASE WHEN OLD.discarded_at IS NULL THEN '' ELSE ' (the order was discarded)' END
          USING ERRCODE = 'check_violation';
      END IF;
      IF (NEW.id, NEW.created_at, NEW.priority, NEW.max_retries) <> (OLD.id, OLD.created_at, OLD.priority, OLD.max_retries) THEN
        RAISE EXCEPTION 'order %: % changes a column that is fixed at submit', OLD.id, edge USING ERRCODE = 'check_violation';
      END IF;
      RETURN NEW;
    END $$`,
  // The trigger's condition admits the common transitions without a call of the function, which checks all other
  // changes.
  `CREATE TRIGGER orders_guard_update BEFORE UPDATE ON ${s}.orders FOR EACH ROW
    WHEN ((
      NEW.version = OLD.version + 1
      AND (OLD.status = 'PENDING' AND NEW.status = 'PROCESSING' OR OLD.status = 'PROCESSING' AND NEW.status <> 'PROCESSING')
      AND OLD.discarded_at IS NULL AND NEW.discarded_at IS NULL
      AND NEW.id = OLD.id AND NEW.created_at = OLD.created_at
      AND NEW.priority = OLD.priority AND NEW.max_retries = OLD.max_retries
    ) IS NOT TRUE)
    EXECUTE FUNCTION ${s}.order_platform_guard_order()`
]

const guardInsertAndDelete: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_guard_new_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'order %: a new order begins PENDING with version 1 and no failed attempt, not % with version %',
        NEW.id, NEW.status, NEW.version USING ERRCODE = 'check_violation';
    END $$`,
  `CREATE TRIGGER orders_guard_insert BEFORE INSERT ON ${s}.orders FOR EACH ROW
    WHEN (NEW.status <> 'PENDING' OR NEW.version <> 1 OR NEW.retry_count <> 0)
    EXECUTE FUNCTION ${s}.order_platform_guard_new_order()`,
  `CREATE FUNCTION ${s}.order_platform_guard_delete() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'order %: it is % and not final; only a PROCESSED or FAILED order may be deleted', OLD.id, OLD.status
        USING ERRCODE = 'check_violation';
    END $$`,
  `CREATE TRIGGER orders_guard_delete BEFORE DELETE ON ${s}.orders FOR EACH ROW
    WHEN (OLD.status IN ('PENDING', 'PROCESSING'))
    EXECUTE FUNCTION ${s}.order_platform_guard_delete()`,
  // A final order is deleted with its history and its dead letter, in the same transaction. This function and
  // others below disable sequential scans, because a plan that was made while a table was small must not scan
  // the whole table later.
  `CREATE FUNCTION ${s}.order_platform_delete_whole() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
    BEGIN
      DELETE FROM ${s}.order_events WHERE order_id IN (SELECT id FROM deleted);
      DELETE FROM ${s}.dead_letters WHERE order_id IN (SELECT id FROM deleted);
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER orders_delete_whole AFTER DELETE ON ${s}.orders REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_delete_whole()`
]

// History is never changed, and deleted only with its order. Dead letters are inserted and deleted, but never changed.
const guardHistory: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_guard_history() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION '% on % refused: its rows cannot be changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation';
    END $$`,
  `CREATE TRIGGER order_events_guard BEFORE UPDATE OR TRUNCATE ON ${s}.order_events
    FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_guard_history()`,
  `CREATE TRIGGER dead_letters_guard_change BEFORE UPDATE OR TRUNCATE ON ${s}.dead_letters
    FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_guard_history()`,
  `CREATE TRIGGER orders_guard_truncate BEFORE TRUNCATE ON ${s}.orders
    FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_guard_history()`,
  `CREATE FUNCTION ${s}.order_platform_guard_history_delete() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    BEGIN
      IF EXISTS (SELECT FROM deleted JOIN ${s}.orders o ON o.id = deleted.order_id) THEN
        RAISE EXCEPTION 'DELETE on order_events refused: history is deleted only with its order' USING ERRCODE = 'check_violation';
      END IF;
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER order_events_guard_delete AFTER DELETE ON ${s}.order_events REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_guard_history_delete()`
]

// An order has a dead letter exactly while it is FAILED and not discarded. This is checked at commit, so that
// the order of the statements does not matter, and only for orders that enter or leave FAILED.
const guardDeadLetters: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_guard_dead_letter() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
    DECLARE
      about uuid := CASE WHEN TG_TABLE_NAME = 'orders' THEN (to_jsonb(NEW) ->> 'id')::uuid
                         ELSE (to_jsonb(coalesce(NEW, OLD)) ->> 'order_id')::uuid END;
      belongs boolean := EXISTS (SELECT FROM ${s}.orders WHERE id = about AND status = 'FAILED' AND discarded_at IS NULL);
      present boolean := EXISTS (SELECT FROM ${s}.dead_letters WHERE order_id = about);
    BEGIN
      IF belongs AND NOT present THEN
        RAISE EXCEPTION 'order %: it is FAILED and not discarded, so it must have a dead letter', about
          USING ERRCODE = 'check_violation';
      ELSIF present AND NOT belongs THEN
        RAISE EXCEPTION 'order %: a dead letter belongs to an order that is FAILED and not discarded', about
          USING ERRCODE = 'check_violation';
      END IF;
      RETURN NULL;
    END $$`,
  `CREATE CONSTRAINT TRIGGER orders_guard_dead_letter AFTER UPDATE ON ${s}.orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.status = 'FAILED' OR NEW.status = 'FAILED')
    EXECUTE FUNCTION ${s}.order_platform_guard_dead_letter()`,
  `CREATE CONSTRAINT TRIGGER dead_letters_guard AFTER INSERT OR DELETE ON ${s}.dead_letters
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${s}.order_platform_guard_dead_letter()`
]

/**
 * Tables, indexes and guards. The database refuses every transition that src/domain/OrderTransitions.ts does
 * not allow, also in manual SQL. The SQL functions of claim and settle are in
 * src/infrastructure/postgres/functions.
 *
 * This migration may still change, because no version has been released. It will be replaced once more, under
 * a new name, when claims support order types, ordering keys and groups. After that it will never change. A
 * database with another migration 0001 is refused.
 *
 * Every name is qualified by the schema. Each statement is a separate call, because the wire protocol allows
 * only one statement per call.
 */
export default (schema: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const parts = [
      clock,
      orders,
      orderEvents,
      durability,
      deadLetters,
      metadata,
      idempotencyKeys,
      guardTransitions,
      guardInsertAndDelete,
      guardHistory,
      guardDeadLetters
    ]
    for (const part of parts) for (const statement of part(`"${schema}"`)) yield* sql.unsafe(statement)
  })
