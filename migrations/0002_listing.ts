import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/**
 * What listing orders costs, and nothing else: every list is read off the end of an index, newest first, whatever it
 * is filtered by. Made in one transaction with everything else, so orders cannot be written meanwhile.
 */
export default (schema: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const s = `"${schema}"`
    const run = (statement: string) => sql.unsafe(statement)

    // By status, and all orders as the four statuses merged: one index for both. An entry for each version that an
    // order goes through (three in a short life), beside the primary key's.
    yield* run(`CREATE INDEX orders_newest ON ${s}.orders (status, created_at, id)`)

    // PENDING with a failed attempt, in the words of other columns (the table's checks make them the same), so that no
    // plan can take orders_newest instead and look at every waiting order. An entry only for what was retried.
    yield* run(`
      CREATE INDEX orders_retrying ON ${s}.orders (created_at, id)
      WHERE retry_count > 0 AND due_at IS NOT NULL AND worker IS NULL`)

    // Orders as they become final: how many did so lately, and later which are old enough to go. One entry an order,
    // always at the end of the index.
    yield* run(
      `CREATE INDEX orders_final ON ${s}.orders (updated_at) WHERE status IN ('PROCESSED', 'FAILED')`
    )

    yield* run(`CREATE INDEX dead_letters_by_code ON ${s}.dead_letters (reason_code, failed_at, order_id)`)

    // An inverted index of metadata in the order of the lists. A GIN index has no order, so that a frequent value would
    // mean to fetch and sort all its orders, and it is written again with each version; this is written once, and only
    // for orders that have metadata. The pair is hashed: 32 bytes a pair however long its text is.
    yield* run(`
      CREATE TABLE ${s}.order_metadata (
        pair bigint NOT NULL,
        created_at timestamptz NOT NULL,
        order_id uuid NOT NULL,
        PRIMARY KEY (pair, created_at, order_id)
      )`)
    const pairs = (of: string) => `
      SELECT DISTINCT hashtextextended(value, hashtextextended(key, 0)) AS pair, o.created_at, o.id
      FROM ${of} AS o CROSS JOIN jsonb_each_text(o.metadata)`
    yield* run(`INSERT INTO ${s}.order_metadata (pair, created_at, order_id) ${pairs(`${s}.orders`)}`)
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_index_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO ${s}.order_metadata (pair, created_at, order_id) ${pairs("(SELECT NEW.*)")};
        RETURN NULL;
      END $$`)
    yield* run(`
      CREATE TRIGGER orders_index_metadata AFTER INSERT ON ${s}.orders FOR EACH ROW WHEN (NEW.metadata <> '{}')
      EXECUTE FUNCTION ${s}.order_platform_index_metadata()`)
    yield* run(`
      CREATE FUNCTION ${s}.order_platform_delete_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        DELETE FROM ${s}.order_metadata m USING (${pairs("deleted")}) gone
        WHERE m.pair = gone.pair AND m.created_at = gone.created_at AND m.order_id = gone.id;
        RETURN NULL;
      END $$`)
    yield* run(`
      CREATE TRIGGER orders_delete_metadata AFTER DELETE ON ${s}.orders REFERENCING OLD TABLE AS deleted
      FOR EACH STATEMENT EXECUTE FUNCTION ${s}.order_platform_delete_metadata()`)
  })
