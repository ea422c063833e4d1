import { Cause, Context, Duration, Effect, Exit, Layer, Option, Predicate, Redacted, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import * as Postgres from "../../../src/infrastructure/postgres/Postgres.ts"
import { neededRights, placesSequence } from "../../../src/infrastructure/postgres/client/ServerChecks.ts"
import { everyWay, fullCircle } from "./FullCircle.ts"

/** A database, role or settings that differ from the defaults. */
export interface DatabaseCase {
  readonly name: string
  /** `ALTER ROLE … SET` of each. */
  readonly settings?: Readonly<Record<string, string>>
  /** Further options of `CREATE ROLE`, such as `CONNECTION LIMIT 3`. */
  readonly role?: string
  /** Options of `CREATE DATABASE` for a new database; without them the case uses the database of the test run. */
  readonly database?: string
  readonly schema?: string
  readonly maxConnections?: number
  /** False: a client behind a pooler, which cannot set parameters of its session. */
  readonly prepare?: boolean
  /** The schema is created and migrated by an owner, and the role has only these grants. */
  readonly grants?: (schema: string, role: string) => ReadonlyArray<string>
  /** The sentence of the refusal, or `works` if a full circle of an order is expected. */
  readonly expected: "works" | RegExp
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

const build = (url: string, schema: string, { maxConnections = 4, prepare = true }: DatabaseCase) =>
  Postgres.layerStores.pipe(
    Layer.provideMerge(
      Postgres.layerClient({
        url: Redacted.make(url),
        maxConnections,
        prepare,
        acquireTimeout: Duration.seconds(5),
        statementTimeout: Duration.seconds(15)
      })
    ),
    Layer.provide([
      Layer.succeed(DatabaseSchema, schema),
      Layer.succeed(Postgres.StartTimeout, Duration.seconds(2))
    ]),
    Layer.fresh
  )

const run = (url: string, schema: string, given: DatabaseCase) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(build(url, schema, given)), (context) =>
      Effect.provideContext(fullCircle, context)
    )
  )

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return Predicate.hasProperty(error, "message") && Predicate.isString(error.message)
    ? error.message
    : `not a sentence: ${Cause.pretty(cause)}`
}

/** Creates the role and the database of a case and drops them with the scope. Returns the URL for the role. */
const prepare = Effect.fnUntraced(function* (superUrl: string, given: DatabaseCase, schema: string) {
  const url = new URL(superUrl)
  const client = (to: URL) =>
    Postgres.layerClient({
      url: Redacted.make(to.href),
      maxConnections: 2,
      prepare: false,
      acquireTimeout: Duration.seconds(5),
      statementTimeout: Duration.seconds(60)
    })
  const admin = Context.get(yield* Layer.build(Layer.fresh(client(url))), SqlClient.SqlClient)
  const suffix = randomUUID().slice(0, 8)
  const role = `role_${suffix}`
  const database = `database_${suffix}`
  yield* admin.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' ${given.role ?? ""}`)
  yield* Effect.addFinalizer(() => Effect.ignore(admin.unsafe(`DROP ROLE ${role}`)))
  if (given.database !== undefined) {
    yield* admin.unsafe(`CREATE DATABASE ${database} TEMPLATE template0 ${given.database}`)
    yield* Effect.addFinalizer(() => Effect.ignore(admin.unsafe(`DROP DATABASE ${database} WITH (FORCE)`)))
    url.pathname = database
  }
  const local =
    given.database === undefined
      ? admin
      : Context.get(yield* Layer.build(Layer.fresh(client(url))), SqlClient.SqlClient)
  yield* Effect.addFinalizer(() => Effect.ignore(local.unsafe(`DROP OWNED BY ${role} CASCADE`)))
  if (given.grants === undefined) {
    if (!schema.startsWith("pg_"))
      yield* local.unsafe(`CREATE SCHEMA ${quoted(schema)} AUTHORIZATION ${role}`)
  } else {
    yield* local.unsafe(`CREATE SCHEMA ${quoted(schema)}`)
    if (given.name.includes("migrated"))
      yield* Effect.provide(Postgres.migrate, [
        Layer.succeed(SqlClient.SqlClient, local),
        Layer.succeed(DatabaseSchema, schema)
      ])
    for (const grant of given.grants(quoted(schema), role)) yield* local.unsafe(grant)
  }
  yield* Effect.addFinalizer(() => Effect.ignore(local.unsafe(`DROP SCHEMA ${quoted(schema)} CASCADE`)))
  for (const [name, value] of Object.entries(given.settings ?? {}))
    yield* local.unsafe(`ALTER ROLE ${role} SET ${name} = ${value}`)
  url.username = role
  url.password = "secret"
  return url.href
})

/** The result of a start and a full circle: `works`, or the sentence of the refusal. */
export const outcomeOf = Effect.fnUntraced(function* (superUrl: string, given: DatabaseCase) {
  const scope = yield* Scope.Scope
  const schema = given.schema ?? `s_${randomUUID().slice(0, 8)}`
  const url = yield* Scope.provide(prepare(superUrl, given, schema), scope)
  const exit = yield* Effect.exit(run(url, schema, given))
  if (Exit.isFailure(exit)) return messageOf(exit.cause)
  return JSON.stringify(exit.value) === JSON.stringify(everyWay) ? "works" : JSON.stringify(exit.value)
})

const allOn = (schema: string, role: string) => [
  `GRANT USAGE ON SCHEMA ${schema} TO ${role}`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role}`,
  `GRANT USAGE ON SEQUENCE ${schema}.order_places TO ${role}`
]

/** The cases of `npm test`: one of each kind. */
export const shortCases: ReadonlyArray<DatabaseCase> = [
  {
    name: "encoding LATIN1",
    database: "ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'",
    expected:
      /its encoding is LATIN1 and must be UTF8; create another database with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0\.$/
  },
  {
    name: "no right to create tables",
    grants: () => [],
    expected: /permission denied for schema \S+ \(SQLSTATE 42501\); /
  },
  { name: "rights on the rows of a migrated schema only", grants: allOn, expected: "works" },
  {
    name: "exactly the rights that are checked, on a migrated schema",
    grants: (schema, role) => [
      `GRANT USAGE ON SCHEMA ${schema} TO ${role}`,
      ...Object.entries(neededRights).map(
        ([table, rights]) => `GRANT ${rights.join(", ")} ON ${schema}.${table} TO ${role}`
      ),
      `GRANT USAGE ON SEQUENCE ${schema}.${placesSequence} TO ${role}`
    ],
    expected: "works"
  },
  {
    name: "the right on the sequence missing in a migrated schema",
    grants: (schema, role) => allOn(schema, role).slice(0, 2),
    expected:
      /^The role \S+ lacks rights in the database \(SQLSTATE 42501\): USAGE on "\S+"\.order_places; GRANT them\.$/
  },
  {
    name: "a right on one table missing in a migrated schema",
    grants: (schema, role) => [
      ...allOn(schema, role),
      `REVOKE INSERT ON ${schema}.dead_letters FROM ${role}`
    ],
    expected:
      /^The role \S+ lacks rights in the database \(SQLSTATE 42501\): INSERT on "\S+"\.dead_letters; GRANT them\.$/
  },
  {
    name: "read-only by default",
    settings: { default_transaction_read_only: "on" },
    expected: /transactions are read-only \(SQLSTATE 25006\); .*RESET default_transaction_read_only\.$/
  },
  { name: "an empty search path", settings: { search_path: "''" }, expected: "works" },
  {
    name: "serializable by default",
    settings: { default_transaction_isolation: "serializable" },
    expected: "works"
  },
  ...["serializable", "repeatable read"].map((level): DatabaseCase => ({
    name: `${level} by default, and no parameters of its session`,
    settings: { default_transaction_isolation: `'${level}'` },
    prepare: false,
    expected: new RegExp(
      `default_transaction_isolation is ${level} and must be read committed; ALTER ROLE "\\S+" or ALTER DATABASE "\\S+" RESET default_transaction_isolation\\.$`
    )
  })),
  {
    name: "as many connections as the pool",
    role: "CONNECTION LIMIT 3",
    maxConnections: 3,
    expected: "works"
  },
  {
    name: "fewer connections than the pool",
    role: "CONNECTION LIMIT 1",
    maxConnections: 3,
    expected: /^The role \S+ may have 1 connections and the pool up to 3: lower database\.maxConnections/
  }
]

/** Settings of a role that must have no effect, each with values other than the default. */
export const harmless: Readonly<Record<string, ReadonlyArray<string>>> = {
  TimeZone: ["'Asia/Kathmandu'", "'America/St_Johns'"],
  DateStyle: ["'SQL, DMY'", "'German'", "'Postgres, MDY'"],
  IntervalStyle: ["'iso_8601'", "'sql_standard'", "'postgres_verbose'"],
  standard_conforming_strings: ["off"],
  backslash_quote: ["off", "on"],
  bytea_output: ["'escape'"],
  search_path: ["''", "pg_catalog", "'$user'", "information_schema"],
  default_transaction_isolation: ["'serializable'", "'repeatable read'"],
  default_transaction_deferrable: ["on"],
  statement_timeout: ["1"],
  lock_timeout: ["1"],
  idle_in_transaction_session_timeout: ["1"],
  idle_session_timeout: ["1"],
  synchronous_commit: ["off", "local", "remote_write", "remote_apply"],
  enable_seqscan: ["off"],
  enable_indexscan: ["off"],
  enable_bitmapscan: ["off"],
  enable_indexonlyscan: ["off"],
  enable_nestloop: ["off"],
  enable_hashjoin: ["off"],
  enable_hashagg: ["off"],
  enable_sort: ["off"],
  enable_material: ["off"],
  enable_memoize: ["off"],
  plan_cache_mode: ["force_generic_plan", "force_custom_plan"],
  jit: ["on"],
  jit_above_cost: ["0"],
  row_security: ["off"],
  work_mem: ["'64kB'"],
  extra_float_digits: ["-15"],
  client_encoding: ["'LATIN1'"],
  client_min_messages: ["debug1", "error"],
  array_nulls: ["off"],
  transform_null_equals: ["on"],
  quote_all_identifiers: ["on"],
  xmloption: ["document"],
  lc_messages: ["'C'"],
  check_function_bodies: ["off"],
  from_collapse_limit: ["1"],
  join_collapse_limit: ["1"],
  geqo: ["off"],
  cursor_tuple_fraction: ["1"],
  constraint_exclusion: ["on"],
  default_toast_compression: ["pglz"],
  vacuum_cost_delay: ["100"]
}

const libc = "LOCALE_PROVIDER libc LOCALE 'C'"

/** The cases of `npm run test:external`: every setting alone, encodings, collations and schema names. */
export const longCases: ReadonlyArray<DatabaseCase> = [
  ...Object.entries(harmless).flatMap(([name, values]) =>
    values.map((value): DatabaseCase => ({
      name: `${name} = ${value}`,
      settings: { [name]: value },
      expected: "works"
    }))
  ),
  ...["SQL_ASCII", "LATIN1", "EUC_JP"].map((encoding): DatabaseCase => ({
    name: `encoding ${encoding}`,
    database: `ENCODING '${encoding}' ${libc}`,
    expected: new RegExp(`its encoding is ${encoding} and must be UTF8`)
  })),
  ...[
    libc,
    "LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'",
    "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C'"
  ].map((locale): DatabaseCase => ({
    name: `locale ${locale}`,
    database: `ENCODING 'UTF8' ${locale}`,
    expected: "works"
  })),
  ...["user", "select", "Orders", "with space", "with-dash", "ünïcödé", "a".repeat(41), "1"].map(
    (schema): DatabaseCase => ({ name: `the schema ${schema}`, schema, expected: "works" })
  ),
  ...[
    "a.b",
    'a"b',
    "a'b",
    "a\\b",
    "a$$b",
    "a".repeat(42),
    "a".repeat(63),
    "b".repeat(64),
    "ü".repeat(21)
  ].map((schema): DatabaseCase => ({
    name: `the schema ${schema}`,
    schema,
    expected: /^The database schema cannot be named /
  })),
  { name: "the schema pg_orders", schema: "pg_orders", expected: /^The database schema cannot be named / },
  {
    name: "a database limited to fewer connections than the pool",
    database: "ENCODING 'UTF8' LOCALE 'C' CONNECTION LIMIT 3",
    expected: /^The database \S+ may have 3 connections and the pool up to 4/
  },
  {
    name: "triggers turned off by session_replication_role",
    role: "SUPERUSER",
    settings: { session_replication_role: "replica" },
    expected: /session_replication_role is replica/
  }
]
