import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/**
 * What is acknowledged is on disk, whatever the server, the database or the role has as its default: every transition
 * writes an event, and the transaction of one that would not wait for the disk is made to. Here rather than in the client,
 * because it costs no round trip, works behind poolers and with an app's own client, and covers an app's own transactions. Only
 * `off` is changed: every other value waits for the local disk at least, and `remote_apply` is not weakened.
 */
export default (schema: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const s = `"${schema}"`
    yield* sql.unsafe(`
      CREATE FUNCTION ${s}.order_platform_wait_for_disk() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);
        RETURN NULL;
      END $$`)
    yield* sql.unsafe(`
      CREATE TRIGGER order_events_wait_for_disk BEFORE INSERT ON ${s}.order_events FOR EACH STATEMENT
      WHEN (pg_catalog.current_setting('synchronous_commit') = 'off')
      EXECUTE FUNCTION ${s}.order_platform_wait_for_disk()`)
  })
