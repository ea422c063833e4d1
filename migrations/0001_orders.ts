import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/**
 * Orders, their history and the dead letter queue, with the state machine guarded by the database itself: what
 * the pure transitions in src/domain/Order.ts do not allow, no hand and no bug can write.
 * Every name is qualified by the schema; one statement a call, because the wire protocol takes one.
 */
export default (schema: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const s = `"${schema}"`
    const run = (statement: string) => sql.unsafe(statement)

    // The one clock. STABLE and inlined, so that "due_at <= now" can use an index (clock_timestamp() is volatile
    // and could not; now() is the start of the transaction). Whole milliseconds, because that is what JSON times
    // and JavaScript have. Tests, and only they, replace this function to move time.
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
      AS $$ SELECT date_trunc('milliseconds', statement_timestamp()) $$`)

    // Hot rows are updated twice in their short life, so pages keep room for it and are vacuumed early.
    yield* run(`
      CREATE TABLE ${s}.orders (
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
      ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)`)
    yield* run(`CREATE INDEX orders_due ON ${s}.orders (priority, due_at, id) WHERE status = 'PENDING'`)
    yield* run(`CREATE INDEX orders_lease_end ON ${s}.orders (lease_until) WHERE status = 'PROCESSING'`)

    // No foreign key: the guards below let history neither outlive nor precede its order, at no cost per event.
    yield* run(`
      CREATE TABLE ${s}.order_events (
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
      )`)

    yield* run(`
      CREATE TABLE ${s}.dead_letters (
        order_id uuid PRIMARY KEY,
        reason text NOT NULL,
        reason_code text NOT NULL,
        retry_count integer NOT NULL,
        failed_at timestamptz NOT NULL
      )`)
    yield* run(`CREATE INDEX dead_letters_newest ON ${s}.dead_letters (failed_at DESC, order_id DESC)`)

    yield* run(`
      CREATE FUNCTION ${s}.order_platform_guard_order() RETURNS trigger LANGUAGE plpgsql AS $$
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
          RAISE EXCEPTION 'order %: % changes what a submit decided for good', OLD.id, edge USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
      END $$`)
    yield* run(`
      CREATE TRIGGER orders_guard_update BEFORE UPDATE ON ${s}.orders
      FOR EACH ROW EXECUTE FUNCTION ${s}.order_platform_guard_order()`)

    yield* run(`
      CREATE FUNCTION ${s}.order_platform_guard_new_order() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'order %: a new order begins PENDING with version 1 and no failed attempt, not % with version %',
          NEW.id, NEW.status, NEW.version USING ERRCODE = 'check_violation';
      END $$`)
    yield* run(`
      CREATE TRIGGER orders_guard_insert BEFORE INSERT ON ${s}.orders FOR EACH ROW
      WHEN (NEW.status <> 'PENDING' OR NEW.version <> 1 OR NEW.retry_count <> 0)
      EXECUTE FUNCTION ${s}.order_platform_guard_new_order()`)

    yield* run(`
      CREATE FUNCTION ${s}.order_platform_guard_delete() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'order %: it is % and not final; only a PROCESSED or FAILED order may be deleted', OLD.id, OLD.status
          USING ERRCODE = 'check_violation';
      END $$`)
    yield* run(`
      CREATE TRIGGER orders_guard_delete BEFORE DELETE ON ${s}.orders FOR EACH ROW
      WHEN (OLD.status IN ('PENDING', 'PROCESSING'))
      EXECUTE FUNCTION ${s}.order_platform_guard_delete()`)

    // A final order is deleted whole: its history and its entry go with it, in the same transaction.
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_delete_whole() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        DELETE FROM ${s}.order_events WHERE order_id IN (SELECT id FROM deleted);
        DELETE FROM ${s}.dead_letters WHERE order_id IN (SELECT id FROM deleted);
        RETURN NULL;
      END $$`)
    yield* run(`
      CREATE TRIGGER orders_delete_whole AFTER DELETE ON ${s}.orders REFERENCING OLD TABLE AS deleted
      FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_delete_whole()`)

    // History is written once, and goes only with its order; entries of the dead letter queue come and go whole.
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_guard_history() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION '% on % refused: what is stored there is not changed', TG_OP, TG_TABLE_NAME
          USING ERRCODE = 'check_violation';
      END $$`)
    yield* run(`
      CREATE TRIGGER order_events_guard BEFORE UPDATE OR TRUNCATE ON ${s}.order_events
      FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_guard_history()`)
    yield* run(`
      CREATE TRIGGER dead_letters_guard_change BEFORE UPDATE OR TRUNCATE ON ${s}.dead_letters
      FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_guard_history()`)
    yield* run(`
      CREATE TRIGGER orders_guard_truncate BEFORE TRUNCATE ON ${s}.orders
      FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_guard_history()`)
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_guard_history_delete() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (SELECT FROM deleted JOIN ${s}.orders o ON o.id = deleted.order_id) THEN
          RAISE EXCEPTION 'DELETE on order_events refused: history goes only with its order' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
      END $$`)
    yield* run(`
      CREATE TRIGGER order_events_guard_delete AFTER DELETE ON ${s}.order_events REFERENCING OLD TABLE AS deleted
      FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_guard_history_delete()`)

    // FAILED and not discarded <=> exactly one entry: checked when the transaction commits, so that the order in
    // which its statements ran does not matter, and only for orders that enter or leave FAILED.
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_guard_dead_letter() RETURNS trigger LANGUAGE plpgsql AS $$
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
      END $$`)
    yield* run(`
      CREATE CONSTRAINT TRIGGER orders_guard_dead_letter AFTER UPDATE ON ${s}.orders
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.status = 'FAILED' OR NEW.status = 'FAILED')
      EXECUTE FUNCTION ${s}.order_platform_guard_dead_letter()`)
    yield* run(`
      CREATE CONSTRAINT TRIGGER dead_letters_guard AFTER INSERT OR DELETE ON ${s}.dead_letters
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${s}.order_platform_guard_dead_letter()`)

    // The claim is a function for one reason: a function can carry planner settings of its own. A claim that was
    // planned while the table was small must not go on reading the whole table when it has grown.
    // One look per priority, so that a million scheduled orders of a high priority cost nothing.
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_claim(claimer text, lease interval, most integer)
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
            ORDER BY o.due_at, o.id LIMIT most FOR UPDATE SKIP LOCKED
          ) best
          LIMIT most
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
      END $$`)

    // When there will be a reason to look again: the next time an order becomes due, and the next lease end.
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_next_look(OUT next_due timestamptz, OUT next_lease_end timestamptz)
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
      END $$`)
  })
