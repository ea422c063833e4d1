import { Context, Data, Deferred, Duration, Effect, Layer, Option, Schedule, type Scope } from "effect"
import { Migrator, SqlClient, SqlError } from "effect/sql"
import orders from "../../../migrations/0001_orders.ts"
import listing from "../../../migrations/0002_listing.ts"
import idempotency from "../../../migrations/0003_idempotency.ts"
import retention from "../../../migrations/0004_retention.ts"
import settle from "../../../migrations/0005_settle.ts"
import durable from "../../../migrations/0006_durable.ts"
import { DatabaseSchema } from "./client/DatabaseSchema.ts"
import { explained } from "./client/ConnectErrors.ts"
import { DatabaseRefuses } from "./client/DatabaseRefuses.ts"
import { logLocks } from "./client/LogLocks.ts"
import { runInTransaction } from "./client/RepeatStatements.ts"
import { checkRights, checkServer } from "./client/ServerChecks.ts"
import { isTransient } from "./client/SqlErrors.ts"
import { retryStart } from "./client/StartTimeout.ts"

/** Every migration, oldest first. They are imported one by one, so that they survive bundling and packaging. */
const migrations = [
  ["orders", orders],
  ["listing", listing],
  ["idempotency", idempotency],
  ["retention", retention],
  ["settle", settle],
  ["durable", durable]
] as const

/** The database was migrated by another version of this program, or by hand: what it has does not fit what we bring. */
export class MigrationsDoNotFit extends Data.TaggedError("MigrationsDoNotFit")<{
  readonly message: string
}> {}

// An app's client may rename columns; ours are what the migrations and statements call them.
const withOurNames = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.updateService(effect, SqlClient.SqlClient, (sql) => sql.withoutTransforms())

/**
 * A client for migrations in the place of the one that everything else uses, because that one gives up on statements that
 * take longer than a request may: the index of a very large table would never be made.
 */
export const MigrationClient = Context.Reference<{
  readonly insteadOf: SqlClient.SqlClient
  readonly make: Effect.Effect<SqlClient.SqlClient, SqlError.SqlError, Scope.Scope>
} | null>("order-platform/infrastructure/postgres/MigrationClient", { defaultValue: () => null })

/** The longest that one statement of a migration may take; there only so that nothing waits for ever. */
const statementLimit = Duration.hours(24)

// The time limit of a server, a role or a connection is meant for requests.
const withTimeEnough = <A, E, R>(sql: SqlClient.SqlClient, effect: Effect.Effect<A, E, R>) =>
  Effect.andThen(
    sql`SELECT set_config('statement_timeout', ${`${Duration.toMillis(statementLimit)}`}, true)`,
    effect
  )

/** What no waiting helps against, as a sentence: the server's message, its SQLSTATE, and what to do. */
const refusedWith =
  (schema: string) =>
  <A, E, R>(effect: Effect.Effect<A, E | SqlError.SqlError, R>) =>
    Effect.catchIf(
      effect,
      (error): error is Extract<E | SqlError.SqlError, SqlError.SqlError> =>
        SqlError.isSqlError(error) && !isTransient(error),
      (error) =>
        Effect.fail(
          new DatabaseRefuses({
            message: `The tables of order-platform in the database schema ${schema} cannot be used: ${explained(error)}.`
          })
        )
    )

/**
 * Brings the tables in `DatabaseSchema` to the current version, under a lock: of many processes at once one does it, and the
 * others wait, and log that. All of it is one transaction, or part of the caller's own. Changes nothing, and needs no right
 * to, where they are at the current version.
 */
export const migrate = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  // Their transaction has their client, and their limits.
  if (Option.isSome(yield* Effect.serviceOption(sql.transactionService)))
    return yield* refusedWith(schema)(migrateIfNeeded)
  const instead = yield* MigrationClient
  const client = instead?.insteadOf === sql ? yield* instead.make : sql
  const pid = yield* Deferred.make<number>()
  const migrating = client<{ readonly pid: number }>`SELECT pg_backend_pid() AS pid`.pipe(
    Effect.tap(([row]) => Deferred.succeed(pid, row?.pid ?? 0)),
    Effect.andThen(migrateIfNeeded)
  )
  return yield* runInTransaction(client)(withTimeEnough(client, migrating)).pipe(
    Effect.provideService(SqlClient.SqlClient, client),
    Effect.raceFirst(Effect.flatMap(Deferred.await(pid), (pid) => logLocks(sql, pid))),
    refusedWith(schema)
  )
}).pipe(Effect.scoped)

/** Changes nothing; fails where the tables in `DatabaseSchema` are not at the current version. */
export const check = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* checkServer(sql, schema)
  const applied = yield* countApplied(sql, schema)
  if (applied === null)
    return yield* new MigrationsDoNotFit({
      message: `The database schema ${schema} has no tables of order-platform: run its migrations first.`
    })
  if (applied < migrations.length)
    return yield* new MigrationsDoNotFit({
      message: `The tables of order-platform in the database schema ${schema} are of an older version: run its migrations first.`
    })
  yield* checkRights(sql, schema)
}).pipe((checked) => Effect.flatMap(DatabaseSchema, (schema) => refusedWith(schema)(checked)), withOurNames)

/** How many of our migrations were applied; null where there is no table of them. */
const countApplied = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, schema: string) {
  const [found] = yield* sql<{ present: boolean }>`
    SELECT to_regclass(${`"${schema}".order_platform_migrations`}) IS NOT NULL AS present`
  return found?.present === true ? yield* checkApplied(sql, `${schema}.order_platform_migrations`) : null
})

const migrateIfNeeded = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* checkServer(sql, schema)
  if ((yield* countApplied(sql, schema)) !== migrations.length) yield* migrateLocked
  yield* checkRights(sql, schema)
}).pipe(withOurNames)

const migrateLocked = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* Effect.raceFirst(
    sql`SELECT pg_advisory_xact_lock(hashtextextended(${`order-platform migrations of ${schema}`}, 0))`,
    saysThatItWaits(schema)
  )
  const table = `${schema}.order_platform_migrations`
  // IF NOT EXISTS still wants the right to create, which the owner of an existing schema need not have given us.
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
        if (!SqlError.isSqlError(cause))
          return Effect.fail(new MigrationsDoNotFit({ message: `${message}; look at ${table}.` }))
        if (isTransient(cause)) return Effect.fail(cause)
        return Effect.fail(
          new MigrationsDoNotFit({ message: `${message}: ${explained(cause)}; look at ${table}.` })
        )
      }
    )
  )
  // The migrator looks at the highest id only. A gap, a late one or a foreign one is found here.
  yield* checkApplied(sql, table)
}).pipe(withOurNames)

/** A start that waits for another's migration looks like one that hangs: so it says what it waits for, now and then. */
const saysThatItWaits = (schema: string) =>
  Effect.logInfo(
    `Another process migrates the tables of order-platform in the database schema ${schema}; waiting for it.`
  ).pipe(Effect.repeat(Schedule.spaced("1 minute")), Effect.delay("2 seconds"), Effect.andThen(Effect.never))

/** How many of ours were applied; fails where it is not the first so many, one after another. */
const checkApplied = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, table: string) {
  const applied = yield* sql<{ id: number; name: string }>`
    SELECT migration_id AS id, name FROM ${sql(table)} ORDER BY migration_id`
  for (const [index, { id, name }] of applied.entries()) {
    const expected = migrations[index]?.[0]
    if (id !== index + 1 || (expected !== undefined && name !== expected)) {
      return yield* new MigrationsDoNotFit({
        message: `The database has migration ${id} "${name}" where ${index + 1} "${expected ?? "none"}" belongs; look at ${table}.`
      })
    }
  }
  if (applied.length > migrations.length) {
    return yield* new MigrationsDoNotFit({
      message: `The database has ${applied.length} migrations and this version knows ${migrations.length}: it was migrated by a newer version.`
    })
  }
  return applied.length
})

// What an error interrupted was rolled back, or is there: in both cases it may be done again.
const retried = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(retryStart, (schedule) =>
    Effect.retry(effect, { while: (error) => SqlError.isSqlError(error) && isTransient(error), schedule })
  )

/** A layer that migrates when it is built; it waits for a database that does not answer. */
export const layer = Layer.effectDiscard(retried(migrate))

/** A layer that is only built on tables that were migrated before. */
export const layerCheck = Layer.effectDiscard(retried(check))
