import { Context, Data, Deferred, Duration, Effect, Layer, Option, Schedule, type Scope } from "effect"
import { Migrator, SqlClient, SqlError } from "effect/sql"
import orderStore from "../../../migrations/0001_order_store.ts"
import { createMissingFunctions, missingFunctions, wasRenamed } from "./functions/Functions.ts"
import { DatabaseSchema } from "./client/DatabaseSchema.ts"
import { explained } from "./client/ConnectErrors.ts"
import { DatabaseRefuses } from "./client/DatabaseRefuses.ts"
import { logLocks } from "./client/LogLocks.ts"
import { runInTransaction } from "./client/RepeatStatements.ts"
import { checkRights, checkServer } from "./client/ServerChecks.ts"
import { isTransient } from "./client/SqlErrors.ts"
import { retryStart } from "./client/StartTimeout.ts"

/** Every migration, oldest first. Imported statically, so that bundlers include them. */
const migrations = [["order_store", orderStore]] as const

/** The tables or functions in the database do not fit this version. The message is one sentence for the operator. */
export class MigrationsDoNotFit extends Data.TaggedError("MigrationsDoNotFit")<{
  readonly message: string
}> {}

// Provides a client that renames no columns, because the app's client may rename them.
const withOurNames = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.updateService(effect, SqlClient.SqlClient, (sql) => sql.withoutTransforms())

/**
 * A client for migrations, used instead of the pool, whose statement timeout is too short to create an index on a very
 * large table.
 */
export const MigrationClient = Context.Reference<{
  readonly insteadOf: SqlClient.SqlClient
  readonly make: Effect.Effect<SqlClient.SqlClient, SqlError.SqlError, Scope.Scope>
} | null>("order-platform/infrastructure/postgres/MigrationClient", { defaultValue: () => null })

/** The time limit of one statement of a migration, so that nothing waits forever. */
const statementLimit = Duration.hours(24)

// Time limits of a server, a role or a connection are meant for requests and too short for a migration.
const withLongLimit = <A, E, R>(sql: SqlClient.SqlClient, effect: Effect.Effect<A, E, R>) =>
  Effect.andThen(
    sql`SELECT set_config('statement_timeout', ${`${Duration.toMillis(statementLimit)}`}, true)`,
    effect
  )

/** Permanent SQL errors as one sentence: the server's message, its SQLSTATE, and what to do. */
const refusedWith =
  (schema: string, isRefusal = (error: SqlError.SqlError) => !isTransient(error)) =>
  <A, E, R>(effect: Effect.Effect<A, E | SqlError.SqlError, R>) =>
    Effect.catchIf(
      effect,
      (error): error is Extract<E | SqlError.SqlError, SqlError.SqlError> =>
        SqlError.isSqlError(error) && isRefusal(error),
      (error) =>
        Effect.fail(
          new DatabaseRefuses({
            message: `The tables of order-platform in the database schema ${schema} cannot be used: ${explained(error)}.`
          })
        )
    )

/**
 * Migrates the tables in `DatabaseSchema` to the current version and creates the SQL functions of this
 * version, in the caller's transaction, or in a new one if the caller has none. Functions of other versions
 * are kept, so that processes of two versions run side by side. A lock makes sure that only one process
 * migrates; the others wait, and log that they wait. If nothing is missing, `migrate` changes nothing and
 * needs no right to create.
 */
export const migrate = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  // The caller's transaction has its own client and limits.
  if (Option.isSome(yield* Effect.serviceOption(sql.transactionService)))
    return yield* refusedWith(schema)(migrateIfNeeded)
  const instead = yield* MigrationClient
  const client = instead?.insteadOf === sql ? yield* instead.make : sql
  const pid = yield* Deferred.make<number>()
  const migrating = client<{ readonly pid: number }>`SELECT pg_backend_pid() AS pid`.pipe(
    Effect.tap(([row]) => Deferred.succeed(pid, row?.pid ?? 0)),
    Effect.andThen(migrateIfNeeded)
  )
  return yield* runInTransaction(client)(withLongLimit(client, migrating)).pipe(
    Effect.provideService(SqlClient.SqlClient, client),
    Effect.raceFirst(Effect.flatMap(Deferred.await(pid), (pid) => logLocks(sql, pid))),
    refusedWith(schema)
  )
}).pipe(Effect.scoped)

const doNotFit = (message: string) => Effect.fail(new MigrationsDoNotFit({ message }))

/** Changes nothing. Fails if the tables or functions in `DatabaseSchema` are not those of this version. */
export const check = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* checkServer(sql, schema)
  const applied = yield* countApplied(sql, schema)
  if (applied === null)
    return yield* doNotFit(
      `The database schema ${schema} has no tables of order-platform: run its migrations first.`
    )
  if (applied < migrations.length)
    return yield* doNotFit(
      `The tables of order-platform in the database schema ${schema} are of an older version: run its migrations first.`
    )
  const missing = (yield* missingFunctions(sql, schema)).map(({ name }) => name)
  if (missing.length > 0)
    return yield* doNotFit(
      `The database schema ${schema} lacks the function ${missing.join(" and ")} of this version: run its migrations first.`
    )
  yield* checkRights(sql, schema)
}).pipe((checked) => Effect.flatMap(DatabaseSchema, (schema) => refusedWith(schema)(checked)), withOurNames)

/** The number of applied migrations; null if the table of migrations does not exist. */
const countApplied = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, schema: string) {
  const [found] = yield* sql<{ present: boolean }>`
    SELECT to_regclass(${`"${schema}".order_platform_migrations`}) IS NOT NULL AS present`
  return found?.present === true ? yield* checkApplied(sql, schema) : null
})

const migrateIfNeeded = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* checkServer(sql, schema)
  const isCurrent =
    (yield* countApplied(sql, schema)) === migrations.length &&
    (yield* missingFunctions(sql, schema)).length === 0
  if (!isCurrent) yield* migrateLocked
  yield* checkRights(sql, schema)
}).pipe(withOurNames)

const migrateLocked = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* Effect.raceFirst(
    sql`SELECT pg_advisory_xact_lock(hashtextextended(${`order-platform migrations of ${schema}`}, 0))`,
    logWaiting(schema)
  )
  const table = `${schema}.order_platform_migrations`
  // CREATE SCHEMA IF NOT EXISTS needs the right to create schemas even if the schema exists.
  const [found] = yield* sql<{
    present: boolean
  }>`SELECT to_regnamespace(${`"${schema}"`}) IS NOT NULL AS present`
  if (found?.present !== true) yield* sql`CREATE SCHEMA IF NOT EXISTS ${sql(schema)}`
  const record = Object.fromEntries(
    migrations.map(([name, migration], index) => [
      `${String(index + 1).padStart(4, "0")}_${name}`,
      migration(schema)
    ])
  )
  yield* Migrator.make({})({ loader: Migrator.fromRecord(record), table }).pipe(
    Effect.catchTag(
      "MigrationError",
      ({ cause, message }): Effect.Effect<never, MigrationsDoNotFit | SqlError.SqlError> => {
        if (!SqlError.isSqlError(cause)) return doNotFit(`${message}; look at ${table}.`)
        if (isTransient(cause)) return Effect.fail(cause)
        return doNotFit(`${message}: ${explained(cause)}; look at ${table}.`)
      }
    )
  )
  // Effect's migrator compares only the highest id. This check also finds gaps, and migrations of other
  // versions.
  yield* checkApplied(sql, schema)
  yield* createMissingFunctions(sql, schema)
}).pipe(withOurNames)

/** Logs once a minute what the start is waiting for, so that it does not seem to hang. */
const logWaiting = (schema: string) =>
  Effect.logInfo(
    `Another process migrates the tables of order-platform in the database schema ${schema}; waiting for it.`
  ).pipe(Effect.repeat(Schedule.spaced("1 minute")), Effect.delay("2 seconds"), Effect.andThen(Effect.never))

/** The number of applied migrations. Fails if they are not the first ones of `migrations`, in order. */
const checkApplied = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, schema: string) {
  const table = `${schema}.order_platform_migrations`
  const applied = yield* sql<{ id: number; name: string }>`
    SELECT migration_id AS id, name FROM ${sql(table)} ORDER BY migration_id`
  if (applied[0]?.name === "orders" || applied[0]?.name === "tables")
    return yield* doNotFit(
      `The tables in the database schema ${schema} were created by a version of order-platform before the first release and cannot be upgraded: use an empty schema (database.schema) or drop this one.`
    )
  for (const [index, { id, name }] of applied.entries()) {
    const expected = migrations[index]?.[0]
    if (id !== index + 1 || (expected !== undefined && name !== expected))
      return yield* doNotFit(
        `The database has migration ${id} "${name}" where this version expects ${index + 1} "${expected ?? "none"}"; look at ${table}.`
      )
  }
  if (applied.length > migrations.length)
    return yield* doNotFit(
      `The database has ${applied.length} migrations and this version knows ${migrations.length}: it was migrated by a newer version.`
    )
  if (yield* wasRenamed(sql, schema))
    return yield* doNotFit(
      `The database schema ${schema} was renamed, and its functions still contain the old name: rename it back, or restore its data into a migrated schema.`
    )
  return applied.length
})

// An interrupted migration was either rolled back or committed, so it may be repeated.
const retried = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E | SqlError.SqlError, R>) {
  const explainAll = refusedWith(yield* DatabaseSchema, () => true)
  const schedule = yield* retryStart
  return yield* Effect.retry(effect, {
    while: (error) => SqlError.isSqlError(error) && isTransient(error),
    schedule
  }).pipe(explainAll)
})

/**
 * Like `migrate`, but waits for a database that does not respond (see `StartTimeout`), and fails with one sentence.
 */
export const migrateOrExplain = retried(migrate)

/** Migrates when it is built, as `migrateOrExplain` does. */
export const layer = Layer.effectDiscard(migrateOrExplain)

/**
 * Checks when it is built, as `check` does, that the tables are already migrated. Waits for a database that does not
 * respond.
 */
export const layerCheck = Layer.effectDiscard(retried(check))
