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

/** The address of the database, and how connections are made. */
export interface Connection {
  readonly url: Redacted.Redacted
  /** The name of the setting that contains the URL, for messages; `database.url` by default. */
  readonly setting?: string
  readonly maxConnections: number
  /** False for a pooler that shares server connections between clients, such as PgBouncer in transaction mode. */
  readonly prepare: boolean
  /** The time limit for making a connection. */
  readonly acquireTimeout: Duration.Duration
  readonly statementTimeout: Duration.Duration
}

const millisText = (duration: Duration.Duration) => `${Duration.toMillis(duration)}`

/**
 * Settings of every session, which override the defaults of the role and the database. Time limits set for
 * other programs, or another isolation level, could make claims fail. Not set behind a pooler, which does not
 * pass startup parameters on.
 */
const sessionSettings = (statementTimeout: Duration.Duration) => ({
  // A process that is frozen or disconnected between two statements must not keep locks on orders.
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

/** The options of all connections to this address. */
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
    // With TCP keepalive the kernel detects idle connections that the server or a firewall has dropped.
    keepAlive: address.keepAlive ?? Duration.seconds(10)
  } satisfies PgClient.PgPoolConfig
})

type Options = Effect.Success<ReturnType<typeof optionsOf>>

const makePool = Effect.fnUntraced(function* (options: Options, connection: Connection) {
  const { maxConnections, prepare, statementTimeout } = connection
  // Two kinds of sockets are not watched (WatchedSockets.ts): sockets with TLS, because their messages cannot
  // be read, and Unix sockets, because they lose no packets.
  const canWatch = options.ssl === false && !options.host.startsWith("/")
  // Behind a pooler, a statement may wait in a queue for longer than the statement timeout of the server.
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

/** A single connection for migrations, without a statement timeout. */
const makeForMigrations = (options: Options, { prepare, statementTimeout }: Connection) =>
  PgClient.make({
    ...options,
    maxConnections: 1,
    ...(prepare && { startupParameters: { ...sessionSettings(statementTimeout), statement_timeout: "0" } })
  }).pipe(Effect.provide(Reactivity.layer))

/** Succeeds once the database responds. Waits while the errors are transient, and logs the first one. */
const waitForAnswer = Effect.fnUntraced(function* (shown: string, maxConnections: number) {
  const sql = yield* SqlClient.SqlClient
  let isLogged = false
  const logOnce = Effect.fnUntraced(function* (error: SqlError.SqlError) {
    if (isLogged || !mayPass(error)) return
    isLogged = true
    yield* Effect.logWarning(
      `The database ${shown} does not answer yet: ${messageOf(error)}; waiting for it.`
    )
  })
  yield* checkConnectionLimit(sql, maxConnections).pipe(
    Effect.tapError((error) => (SqlError.isSqlError(error) ? logOnce(error) : Effect.void)),
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

/**
 * A pool of connections, built once the database has responded. Migrations use a separate connection without a
 * statement timeout.
 */
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
