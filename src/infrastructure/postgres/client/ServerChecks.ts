import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { DatabaseRefuses } from "./DatabaseRefuses.ts"

/** The rights that the role needs on each table. `FOR UPDATE` also needs `UPDATE`. */
export const neededRights: Readonly<Record<string, ReadonlyArray<string>>> = {
  orders: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_events: ["SELECT", "INSERT", "DELETE"],
  dead_letters: ["SELECT", "INSERT", "DELETE"],
  order_failure_groups: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_metadata: ["SELECT", "INSERT", "DELETE"],
  order_due: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_running: ["SELECT", "INSERT", "DELETE"],
  order_workers: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_key_waiting: ["SELECT", "INSERT", "DELETE"],
  order_key_heads: ["SELECT", "INSERT", "DELETE"],
  order_key_checks: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_lanes: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_lane_checks: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_groups: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_pauses: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_final: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_audit: ["SELECT", "INSERT"],
  idempotency_keys: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  order_platform_migrations: ["SELECT"]
}

/** The sequence of the places of orders with an ordering key, from which the role must be able to draw. */
export const placesSequence = "order_places"

/** Whether this server cannot write: it is a standby, or a primary that is read-only. */
export const readOnly = (sql: SqlClient.SqlClient) =>
  sql`(pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean)`

interface Server {
  readonly database: string
  readonly role: string
  readonly encoding: string
  readonly version: number
  readonly standby: boolean
  readonly read_only: boolean
  readonly replica: boolean
  readonly isolation: string
}

/** Why the server, the database or the role cannot be used, and what to do; null if all three can be used. */
const faultOf = ({
  database,
  encoding,
  isolation,
  read_only,
  replica,
  role,
  standby,
  version
}: Server): string | null => {
  if (encoding !== "UTF8")
    return `its encoding is ${encoding} and must be UTF8; create another database with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0`
  if (version < 140_000)
    return `it is PostgreSQL ${Math.floor(version / 10_000)}; version 14 or newer is needed`
  if (standby)
    return "it is a standby and accepts no writes (pg_is_in_recovery(), SQLSTATE 25006); name the primary in database.url"
  if (read_only)
    return `transactions are read-only (SQLSTATE 25006); ALTER ROLE "${role}" or ALTER DATABASE "${database}" RESET default_transaction_read_only`
  // In a claim, later statements must see what was committed since its transaction began.
  if (isolation !== "read committed")
    return `default_transaction_isolation is ${isolation} and must be read committed; ALTER ROLE "${role}" or ALTER DATABASE "${database}" RESET default_transaction_isolation`
  if (replica)
    return `session_replication_role is replica, which disables triggers; ALTER ROLE "${role}" or ALTER DATABASE "${database}" RESET session_replication_role`
  return null
}

/**
 * Schema names without quotes, dots and backslashes, which would end identifiers and literals, and without
 * `$`, which would end function bodies.
 */
const schemaForm = /^(?!pg_)[^"'.\\$\p{Cc}]{1,41}$/u

/** Fails with one sentence if orders cannot be stored and waiting does not help. */
export const checkServer = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, schema: string) {
  if (!schemaForm.test(schema) || new TextEncoder().encode(schema).length > 41)
    return yield* new DatabaseRefuses({
      message: `The database schema cannot be named ${JSON.stringify(schema)}: at most 41 bytes without quotes, dots, backslashes and $, and not beginning with pg_.`
    })
  const [server] = yield* sql<Server>`
    SELECT current_database() AS database, current_user AS role, current_setting('server_encoding') AS encoding,
      current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby,
      current_setting('transaction_read_only')::boolean AS read_only,
      current_setting('session_replication_role') = 'replica' AS replica,
      current_setting('default_transaction_isolation') AS isolation`
  const fault = server === undefined ? null : faultOf(server)
  if (server !== undefined && fault !== null)
    return yield* new DatabaseRefuses({
      message: `The database ${server.database} cannot be used: ${fault}.`
    })
})

/** Fails with one sentence if the role lacks a right on one of the tables. */
export const checkRights = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, schema: string) {
  const wanted = Object.entries(neededRights).flatMap(([table, rights]) =>
    rights.map((right) => ({ table, right }))
  )
  // Without the CASE the planner may ask for the sequence privilege of a table, which is an error.
  const missing = yield* sql<{ readonly name: string; readonly right: string; readonly role: string }>`
    SELECT c.relname AS name, w.right, current_user AS role
    FROM unnest(${wanted.map(({ table }) => table)}::text[], ${wanted.map(({ right }) => right)}::text[]) AS w ("table", "right")
    JOIN pg_namespace n ON n.nspname = ${schema}
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.table
    WHERE NOT has_table_privilege(c.oid, w.right)
    UNION ALL
    SELECT c.relname, 'USAGE', current_user FROM pg_namespace n
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = ${placesSequence} AND c.relkind = 'S'
    WHERE n.nspname = ${schema} AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE') END`
  const [first] = missing
  if (first === undefined) return
  const rights = missing.map(({ name, right }) => `${right} on "${schema}".${name}`).join(", ")
  return yield* new DatabaseRefuses({
    message: `The role ${first.role} lacks rights in the database (SQLSTATE 42501): ${rights}; GRANT them.`
  })
})

/** Fails with one sentence if the role, the database or the server allows fewer connections than the pool may make. */
export const checkConnectionLimit = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  maxConnections: number
) {
  const limits = yield* sql<{ readonly whose: string; readonly most: number }>`
    SELECT * FROM (
      SELECT 'role ' || rolname AS whose, rolconnlimit AS most FROM pg_roles WHERE rolname = current_user AND NOT rolsuper
      UNION ALL
      SELECT 'database ' || datname, datconnlimit FROM pg_database, pg_roles
      WHERE datname = current_database() AND rolname = current_user AND NOT rolsuper
      UNION ALL
      SELECT 'server', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0)
    ) AS l WHERE most BETWEEN 0 AND ${maxConnections - 1} ORDER BY most LIMIT 1`
  const [limit] = limits
  if (limit !== undefined)
    return yield* new DatabaseRefuses({
      message: `The ${limit.whose} may have ${limit.most} connections and the pool up to ${maxConnections}: lower database.maxConnections (DATABASE_MAX_CONNECTIONS) or raise the limit.`
    })
})

/** Logs a warning if settings of the server can lose acknowledged orders in a crash. */
export const warnAboutDurability = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ readonly name: string }>`
    SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'`
  if (rows.length > 0)
    yield* Effect.logWarning(
      `The database server runs with ${rows.map(({ name }) => `${name} = off`).join(" and ")}: a crash of its machine can lose or damage accepted orders.`
    )
})
