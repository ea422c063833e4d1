import type { Statements } from "./Statements.ts"

export const guardTransitions: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_guard_order() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      edge text := concat(OLD.status, ' -> ', NEW.status);
    BEGIN
      IF NEW.version = OLD.version THEN
        -- The request of a cancel is not a transition.
        IF OLD.cancel_requested IS NULL THEN
          OLD.cancel_requested := NEW.cancel_requested;
        END IF;
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
                      'PROCESSING -> FAILED', 'FAILED -> PENDING', 'FAILED -> FAILED', 'PENDING -> FAILED',
                      'PENDING -> PENDING')
        OR OLD.discarded_at IS NOT NULL
        OR (NEW.discarded_at IS NULL AND edge IN ('FAILED -> FAILED', 'PENDING -> FAILED'))
        OR (NEW.discarded_at IS NOT NULL AND edge NOT IN ('FAILED -> FAILED', 'PENDING -> FAILED', 'PROCESSING -> FAILED')) THEN
        RAISE EXCEPTION 'order %: % is not an edge of the state machine%', OLD.id, edge,
          CASE WHEN OLD.discarded_at IS NULL THEN '' ELSE ' (the order was discarded)' END
          USING ERRCODE = 'check_violation';
      END IF;
      IF (NEW.id, NEW.created_at, NEW.priority, NEW.max_retries, NEW.type, NEW.ordering_key, NEW.group_name)
        <> (OLD.id, OLD.created_at, OLD.priority, OLD.max_retries, OLD.type, OLD.ordering_key, OLD.group_name)
        OR (NEW.place IS DISTINCT FROM OLD.place AND edge <> 'FAILED -> PENDING') THEN
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
      AND NEW.priority = OLD.priority AND NEW.max_retries = OLD.max_retries AND NEW.type = OLD.type
      AND NEW.ordering_key = OLD.ordering_key AND NEW.group_name = OLD.group_name
      AND NEW.place IS NOT DISTINCT FROM OLD.place
    ) IS NOT TRUE)
    EXECUTE FUNCTION ${s}.order_platform_guard_order()`
]

export const guardInsertAndDelete: Statements = (s) => [
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
  // A final order is deleted with its history, its dead letter and its row in order_final, in the same transaction. This function and
  // others below disable sequential scans, because a plan that was made while a table was small must not scan
  // the whole table later.
  `CREATE FUNCTION ${s}.order_platform_delete_whole() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
    BEGIN
      DELETE FROM ${s}.order_events WHERE order_id IN (SELECT id FROM deleted);
      DELETE FROM ${s}.dead_letters WHERE order_id IN (SELECT id FROM deleted);
      DELETE FROM ${s}.order_final f USING deleted d
      WHERE f.status = d.status AND f.final_at = d.updated_at AND f.order_id = d.id;
      RETURN NULL;
    END $$`,
  `CREATE TRIGGER orders_delete_whole AFTER DELETE ON ${s}.orders REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_delete_whole()`
]

// History is never changed, and deleted only with its order. Dead letters are inserted and deleted, but never
// changed.
export const guardHistory: Statements = (s) => [
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
export const guardDeadLetters: Statements = (s) => [
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
 * Whether a row of the tables of work names this order: `o` is a row of `orders`. The tables are described in
 * work.ts.
 */
const isDue = (s: string, o: string) => `EXISTS (
          SELECT FROM ${s}.order_due d WHERE d.priority = ${o}.priority AND d.group_name = ${o}.group_name AND d.type = ${o}.type
            AND d.due_at = ${o}.due_at AND d.order_id = ${o}.id)`
const isWaiting = (s: string, o: string) => `EXISTS (
          SELECT FROM ${s}.order_key_waiting w WHERE w.type = ${o}.type AND w.ordering_key = ${o}.ordering_key AND w.place = ${o}.place)`
const isRunning = (s: string, o: string) => `EXISTS (
          SELECT FROM ${s}.order_running r WHERE r.worker = ${o}.worker AND r.order_id = ${o}.id)`
const isHead = (s: string, o: string) => `EXISTS (
          SELECT FROM ${s}.order_key_heads h
          WHERE h.type = ${o}.type AND h.ordering_key = ${o}.ordering_key AND h.order_id = ${o}.id)`
const isFinal = (s: string, o: string) => `EXISTS (
          SELECT FROM ${s}.order_final f
          WHERE f.status = ${o}.status AND f.final_at = ${o}.updated_at AND f.order_id = ${o}.id)`

// The functions of claim, settle, expire, cancel and run write history and the tables of work in the statement that
// changes the order. Every other change, such as an UPDATE by hand, is checked at commit: else an order that such an
// UPDATE changed could wait or run forever. The functions mark their own changes, which costs less than the check.
export const guardWork: Statements = (s) => [
  `CREATE FUNCTION ${s}.order_platform_guard_work() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
    DECLARE
      now_is ${s}.orders;
    BEGIN
      SELECT o.* INTO now_is FROM ${s}.orders o WHERE o.id = NEW.id;
      IF NOT FOUND THEN
        RETURN NULL;
      END IF;
      IF NOT EXISTS (SELECT FROM ${s}.order_events e WHERE e.order_id = now_is.id AND e.version = now_is.version) THEN
        RAISE EXCEPTION 'order %: no event of version % in order_events; orders are not changed by UPDATE but through the API',
          now_is.id, now_is.version USING ERRCODE = 'check_violation';
      END IF;
      IF NOT (CASE now_is.status
          WHEN 'PENDING' THEN ${isDue(s, "now_is")} OR ${isWaiting(s, "now_is")}
          WHEN 'PROCESSING' THEN ${isRunning(s, "now_is")}
          ELSE ${isFinal(s, "now_is")} END) THEN
        RAISE EXCEPTION 'order %: it is % and has no row in %; orders are not changed by UPDATE but through the API', now_is.id,
          now_is.status, CASE now_is.status WHEN 'PENDING' THEN 'order_due or order_key_waiting'
            WHEN 'PROCESSING' THEN 'order_running' ELSE 'order_final' END USING ERRCODE = 'check_violation';
      END IF;
      IF (OLD.status = 'PENDING' AND (now_is.status <> 'PENDING' OR now_is.due_at <> OLD.due_at) AND ${isDue(s, "OLD")})
        OR (OLD.status = 'PENDING' AND now_is.status <> 'PENDING' AND ${isWaiting(s, "OLD")})
        OR (OLD.status = 'PROCESSING' AND now_is.worker IS DISTINCT FROM OLD.worker AND ${isRunning(s, "OLD")})
        OR (OLD.status IN ('PROCESSED', 'FAILED') AND now_is.status <> OLD.status AND ${isFinal(s, "OLD")})
        OR (now_is.status IN ('PROCESSED', 'FAILED') AND ${isHead(s, "now_is")}) THEN
        RAISE EXCEPTION 'order %: it is %, and the tables of work still have its row as %; orders are not changed by UPDATE but through the API',
          now_is.id, now_is.status, OLD.status USING ERRCODE = 'check_violation';
      END IF;
      RETURN NULL;
    END $$`,
  `CREATE CONSTRAINT TRIGGER orders_guard_work AFTER UPDATE ON ${s}.orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (pg_catalog.current_setting('order_platform.own_change', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION ${s}.order_platform_guard_work()`
]
