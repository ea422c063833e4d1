import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Layer, Redacted, Result } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, SqlError } from "effect/sql"
import { MigrationClient } from "../Migrations.ts"
import { explained, mayPass } from "./ConnectErrors.ts"
import { DatabaseRefuses } from "./DatabaseRefuses.ts"
import type { DatabaseAddress } from "./DatabaseAddress.ts"
import { parseDatabaseUrl } from "./DatabaseUrl.ts"
import { checkConnectionLimit } from "./ServerChecks.ts"
import { messageOf } from "./SqlErrors.ts"
import { retryStart } from "./StartTimeout.ts"
import { tlsOptions } from "./TlsOptions.ts"
import { watchedSockets } from "./WatchedSockets.ts"

/** Where the database is and how connections are made. */
export interface Connection {
  readonly url: Redacted.Redacted
  /** The setting that the URL comes from, for messages; `database.url` by default. */
  readonly setting?: string
  readonly maxConnections: number
  /** Off for poolers that share server connections between clients, such as PgBouncer in transaction mode. */
  readonly prepare: boolean
  /** How long a connection may take to be made. */
  readonly acquireTimeout: Duration.Duration
  readonly statementTimeout: Duration.Duration
}

const millisText = (duration: Duration.Duration) => `${Duration.toMillis(duration)}`

/**
 * What every session sets for itself, whatever the role or the database has as its default: time limits that are meant for
 * others, and an isolation that would make concurrent claims fail. A pooler cannot pass startup parameters on.
 */
const sessionSettings = (statementTimeout: Duration.Duration) => ({
  // A process that is frozen or cut off between two statements must not keep its orders locked, nor a migration.
  idle_in_transaction_session_timeout: millisText(statementTimeout),
  idle_session_timeout: "0",
  lock_timeout: "0",
  default_transaction_isolation: "read committed"
})

const addressOf = ({ setting = "database.url", url }: Connection) =>
  Effect.fromResult(
    Result.mapError(
      parseDatabaseUrl(Redacted.value(url)),
      (reason) => new DatabaseRefuses({ message: `${setting} ${reason}.` })
    )
  )

/** What all connections to this address have in common. */
const optionsOf = Effect.fnUntraced(function* (address: DatabaseAddress, connection: Connection) {
  const { acquireTimeout, prepare, setting = "database.url" } = connection
  const ssl = yield* Effect.mapError(
    tlsOptions(address),
    ({ message }) => new DatabaseRefuses({ message: `${setting} ${message}.` })
  )
  return {
    host: address.address ?? address.host,
    port: address.port,
    ssl,
    ...(address.user !== undefined && { username: address.user }),
    ...(address.password !== undefined && { password: address.password }),
    ...(address.database !== undefined && { database: address.database }),
    ...(address.options !== undefined && { startupOptions: address.options }),
    applicationName: address.applicationName ?? "order-platform",
    prepare,
    connectTimeout: address.connectTimeout ?? acquireTimeout,
    // Idle connections that a firewall forgot, or whose server is gone, are found by the kernel.
    keepAlive: address.keepAlive ?? Duration.seconds(10)
  } satisfies PgClient.PgPoolConfig
})

type Options = Effect.Success<ReturnType<typeof optionsOf>>

const makePool = Effect.fnUntraced(function* (options: Options, connection: Connection) {
  const { maxConnections, prepare, statementTimeout } = connection
  // The bytes of TLS cannot be followed, and a Unix socket loses nothing.
  const canWatch = options.ssl === false && !options.host.startsWith("/")
  // Behind a pooler a statement may wait for its turn for longer than the server gives it.
  const answerWithin = prepare ? Duration.sum(statementTimeout, Duration.seconds(1)) : Duration.infinity
  return yield* PgClient.make({
    ...options,
    maxConnections,
    ...(canWatch && { stream: yield* watchedSockets(options, answerWithin) }),
    ...(prepare && {
      startupParameters: {
        ...sessionSettings(statementTimeout),
        statement_timeout: millisText(statementTimeout)
      }
    })
  })
})

/** One connection for migrations, whose statements may take as long as they need. */
const makeForMigrations = (options: Options, { prepare, statementTimeout }: Connection) =>
  PgClient.make({
    ...options,
    maxConnections: 1,
    ...(prepare && { startupParameters: { ...sessionSettings(statementTimeout), statement_timeout: "0" } })
  }).pipe(Effect.provide(Reactivity.layer))

/** Succeeds once the database answers; waits as long as it is only away, and says so once. */
const waitForAnswer = Effect.fnUntraced(function* (shown: string, maxConnections: number) {
  const sql = yield* SqlClient.SqlClient
  let isSaid = false
  const sayOnce = Effect.fnUntraced(function* (error: SqlError.SqlError) {
    if (isSaid || !mayPass(error)) return
    isSaid = true
    yield* Effect.logWarning(
      `The database ${shown} does not answer yet: ${messageOf(error)}; waiting for it.`
    )
  })
  yield* checkConnectionLimit(sql, maxConnections).pipe(
    Effect.tapError((error) => (SqlError.isSqlError(error) ? sayOnce(error) : Effect.void)),
    Effect.retry({
      while: (error) => SqlError.isSqlError(error) && mayPass(error),
      schedule: yield* retryStart
    }),
    Effect.mapError((error) =>
      SqlError.isSqlError(error)
        ? new DatabaseRefuses({ message: `The database ${shown} cannot be used: ${explained(error)}.` })
        : error
    )
  )
})

/** A pool of connections, built once the database has answered. Migrations have a connection of their own, and more time. */
export const layerClient = (connection: Connection) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const address = yield* addressOf(connection)
      const options = yield* optionsOf(address, connection)
      const make = makeForMigrations(options, connection)
      const forMigrations = Layer.effect(
        MigrationClient,
        Effect.map(SqlClient.SqlClient, (insteadOf) => ({ insteadOf, make }))
      )
      return Layer.effectDiscard(waitForAnswer(address.shown, connection.maxConnections)).pipe(
        Layer.provideMerge(forMigrations),
        Layer.provideMerge(PgClient.layerFrom(makePool(options, connection)))
      )
    })
  )
