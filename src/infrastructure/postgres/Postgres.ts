import { PgClient } from "@effect/sql-pg"
import { Data, Duration, Effect, Layer, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlError } from "effect/sql"
import { DatabaseSchema } from "./client/DatabaseSchema.ts"
import * as Migrations from "./Migrations.ts"
import * as PostgresWakeUp from "./wake-ups/PostgresWakeUp.ts"
import * as PostgresStores from "./PostgresStores.ts"
import { isTransient, messageOf, startingPatience } from "./client/SqlErrors.ts"
import { watchedSockets } from "./client/WatchedSockets.ts"

/** The repository alone, on the caller's own client; the tables are migrated when the layer is built. */
export const layerStores = PostgresStores.layer.pipe(Layer.provide(Migrations.layer))

/**
 * Orders on the caller's own `PgClient`: repository and queue. The tables are migrated when the layer is built. The queue
 * holds one of the client's connections once a worker listens.
 */
export const layer = Layer.mergeAll(layerStores, PostgresWakeUp.layer)

/** The same on tables that somebody else migrated, by `migrate`: it needs no right to change them, and fails if they do not fit. */
export const layerMigrated = Layer.mergeAll(
  PostgresStores.layer.pipe(Layer.provide(Migrations.layerCheck)),
  PostgresWakeUp.layer
)

/**
 * `layer` in a database schema of its own: tables, functions and channel. Each call is another platform; two of
 * them live side by side in one database and one process, also on one client.
 */
export const layerInSchema = (schema: string) =>
  Layer.fresh(layer).pipe(Layer.provide(Layer.succeed(DatabaseSchema, schema)))

/** Where the database is and how it is spoken to. */
export interface Connection {
  readonly url: Redacted.Redacted
  readonly maxConnections: number
  /** Off for poolers that share server connections between clients, such as PgBouncer in transaction mode. */
  readonly prepare: boolean
  /** How long a connection may take to be made. */
  readonly acquireTimeout: Duration.Duration
  readonly statementTimeout: Duration.Duration
}

/** The database does not take our connection; the message is a sentence for the operator. */
export class DatabaseRefuses extends Data.TaggedError("DatabaseRefuses")<{ readonly message: string }> {}

/** Where to connect by plain TCP; null for what cannot be watched: TLS, whose bytes are none of ours, and Unix sockets. */
const addressOf = (url: string): { readonly host: string; readonly port: number } | null => {
  const { hostname, port, searchParams } = new URL(url)
  const host = searchParams.get("host") ?? decodeURIComponent(hostname).replace(/^\[(.*)\]$/, "$1")
  const isPlain =
    [null, "disable"].includes(searchParams.get("sslmode")) && host !== "" && !host.startsWith("/")
  return isPlain ? { host, port: Number(searchParams.get("port") ?? (port || 5432)) } : null
}

/** A pool of connections, built once the database has answered. Migrations have a connection of their own, and more time. */
export const layerClient = ({
  acquireTimeout,
  maxConnections,
  prepare,
  statementTimeout,
  url
}: Connection) => {
  const common = {
    url,
    prepare,
    connectTimeout: acquireTimeout,
    // Idle connections that a firewall forgot, or whose server is gone, are found out by the kernel.
    keepAlive: "10 seconds",
    applicationName: "order-platform"
  } as const
  // A process that is frozen or cut off between two statements must not keep its orders locked, nor a migration.
  const idle_in_transaction_session_timeout = `${Duration.toMillis(statementTimeout)}`
  const make = Effect.gen(function* () {
    const address = addressOf(Redacted.value(url))
    // Behind a pooler a statement may wait for its turn for longer than the server gives it.
    const answerWithin = prepare ? Duration.sum(statementTimeout, Duration.seconds(1)) : Duration.infinity
    return yield* PgClient.make({
      ...common,
      maxConnections,
      ...(address !== null && { stream: yield* watchedSockets(address, answerWithin) }),
      // A pooler cannot pass startup parameters on.
      ...(prepare && {
        startupParameters: {
          statement_timeout: `${Duration.toMillis(statementTimeout)}`,
          idle_in_transaction_session_timeout
        }
      })
    })
  })
  const makeForMigrations = PgClient.make({
    ...common,
    maxConnections: 1,
    ...(prepare && { startupParameters: { idle_in_transaction_session_timeout } })
  }).pipe(Effect.provide(Reactivity.layer))
  const forMigrations = Layer.effect(
    Migrations.MigrationClient,
    Effect.map(SqlClient.SqlClient, (insteadOf) => ({ insteadOf, make: makeForMigrations }))
  )
  const client = forMigrations.pipe(Layer.provideMerge(PgClient.layerFrom(make)))
  const answers = Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const { host, pathname } = new URL(Redacted.value(url))
    let isSaid = false
    const waits = Effect.fnUntraced(function* (error: SqlError.SqlError) {
      if (isSaid || !isTransient(error)) return
      isSaid = true
      yield* Effect.logWarning(
        `The database ${host}${pathname} does not answer yet: ${messageOf(error)}; waiting for it.`
      )
    })
    yield* sql`SELECT 1`.pipe(
      Effect.tapError(waits),
      Effect.retry({ while: isTransient, schedule: yield* startingPatience }),
      Effect.mapError(
        (error) =>
          new DatabaseRefuses({
            message: `The database ${host}${pathname} cannot be used: ${messageOf(error)}.`
          })
      )
    )
  })
  return Layer.effectDiscard(answers).pipe(Layer.provideMerge(client))
}

export { migrate, MigrationsDoNotFit } from "./Migrations.ts"
export { DatabaseSchema } from "./client/DatabaseSchema.ts"
export { CallTimeLimit, StartingPatience } from "./client/SqlErrors.ts"
