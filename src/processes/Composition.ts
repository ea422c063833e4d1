import { Duration, Effect, Layer, Option, Redacted, Result } from "effect"
import { hostname } from "node:os"
import { IdempotencyTtl } from "../application/intake/Idempotency.ts"
import { DefaultMaxRetries } from "../application/intake/Submission.ts"
import { Retention } from "../application/upkeep/DeleteOldOrders.ts"
import { MaxPending } from "../application/intake/Backpressure.ts"
import { WorkerSettings } from "../application/work/WorkerSettings.ts"
import { anyJsonObject } from "../domain/OrderPayload.ts"
import { RetryPolicy } from "../domain/RetryPolicy.ts"
import type { Environment } from "../Environment.ts"
import { CorsOrigins } from "../infrastructure/http/edge/ResponseHeaders.ts"
import { type ApiKey, ApiKeys } from "../infrastructure/http/edge/Caller.ts"
import { MaxBodyBytes, MaxBulkBodyBytes, RequestTimeout } from "../infrastructure/http/edge/RequestLimits.ts"
import * as MemoryWakeUp from "../infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import { EmbeddedPostgres } from "../infrastructure/embedded-postgres/EmbeddedPostgres.ts"
import * as Postgres from "../infrastructure/postgres/Postgres.ts"
import * as PostgresWakeUp from "../infrastructure/postgres/wake-ups/PostgresWakeUp.ts"
import * as SimulatedOrderProcessor from "../infrastructure/simulation/SimulatedOrderProcessor.ts"

/** The settings of a process. */
export type Settings = Environment["Service"]

const clientOf = (
  { database }: Settings,
  url: Redacted.Redacted,
  maxConnections: number,
  setting = "database.url (DATABASE_URL)"
) =>
  Postgres.layerClient({
    url,
    setting,
    maxConnections,
    prepare: database.prepare,
    acquireTimeout: Duration.millis(database.acquireTimeoutMs),
    statementTimeout: Duration.millis(database.statementTimeoutMs)
  })

/** What announces orders to workers. Behind a pooler that cannot LISTEN it does so by a direct connection, or by polling alone. */
export const queue = (settings: Settings) => {
  const { database, order } = settings
  if (order.queue === "memory") return MemoryWakeUp.layer
  if (Option.isSome(database.listenUrl)) {
    return PostgresWakeUp.layerListeningBy(
      clientOf(
        { ...settings, database: { ...database, prepare: true } },
        database.listenUrl.value,
        1,
        "database.listenUrl (DATABASE_LISTEN_URL)"
      )
    )
  }
  return database.prepare ? PostgresWakeUp.layer : PostgresWakeUp.layerWithoutListening
}

/** How announcements are heard, in words. */
export const queueOf = ({ database, order }: Settings): string =>
  order.queue === "postgres" && !database.prepare && Option.isNone(database.listenUrl)
    ? "postgres, by polling alone (LISTEN behind a pooler needs database.listenUrl)"
    : order.queue

/** The settings as the layers below want them. */
export const references = ({ auth, database, intake, order: { worker }, retention, server }: Settings) =>
  Layer.mergeAll(
    Layer.succeed(Postgres.DatabaseSchema, database.schema),
    Layer.succeed(
      Postgres.CallTimeLimit,
      Duration.millis(database.acquireTimeoutMs + database.statementTimeoutMs)
    ),
    Layer.succeed(DefaultMaxRetries, worker.maxRetries),
    Layer.succeed(MaxBodyBytes, intake.maxBodyBytes),
    Layer.succeed(MaxBulkBodyBytes, intake.maxBulkBodyBytes),
    Layer.succeed(MaxPending, intake.maxPending),
    Layer.succeed(IdempotencyTtl, Duration.millis(intake.idempotencyTtlMs)),
    Layer.succeed(ApiKeys, {
      clients: keysOf(auth.clientKeys),
      operators: keysOf(auth.operatorKeys)
    }),
    Layer.succeed(
      CorsOrigins,
      Option.getOrElse(server.corsOrigins, () => [])
    ),
    Layer.succeed(RequestTimeout, Duration.millis(server.requestTimeoutMs)),
    Layer.succeed(Retention, {
      processed: daysOf(retention.processedDays),
      failed: daysOf(retention.failedDays)
    }),
    Layer.succeed(RetryPolicy, {
      backoff: worker.retryBackoff,
      delay: Duration.millis(worker.retryDelayMs),
      maxDelay: Duration.millis(worker.retryMaxDelayMs),
      jitter: worker.retryJitter
    }),
    Layer.succeed(WorkerSettings, {
      name: `${hostname()}:${process.pid}:${globalThis.crypto.randomUUID().slice(0, 8)}`,
      concurrency: worker.concurrency,
      // The rest is for claims, settles, the heartbeat and requests.
      writeConcurrency: Math.max(1, database.maxConnections - 4),
      lease: Duration.millis(worker.leaseMs),
      attemptTimeout: Duration.millis(worker.attemptTimeoutMs),
      pollInterval: Duration.millis(worker.pollIntervalMs),
      drainTimeout: Duration.millis(worker.drainTimeoutMs)
    })
  )

const daysOf = (days: Option.Option<number>) => Option.getOrNull(Option.map(days, Duration.days))

function keysOf(setting: Settings["auth"]["clientKeys"]): ReadonlyArray<ApiKey> {
  const keys = Option.isSome(setting) ? Redacted.value(setting.value) : []
  return keys.map(({ name, secret }) => ({ name, secret: Redacted.make(secret) }))
}

/** The pool of the named database, or of an embedded one. */
export const client = (settings: Settings) => {
  const { database } = settings
  const connect = (url: Redacted.Redacted) => clientOf(settings, url, database.maxConnections)
  return Option.match(database.url, {
    onSome: connect,
    onNone: () =>
      Layer.unwrap(Effect.map(EmbeddedPostgres, ({ url }) => connect(url))).pipe(
        Layer.provide(EmbeddedPostgres.layer({ dataDirectory: database.dataDirectory }))
      )
  })
}

/** The processor of the shipped server. */
export const simulation = ({ order: { worker } }: Settings) =>
  SimulatedOrderProcessor.layer(anyJsonObject, {
    processingDelay: Duration.millis(worker.processingDelayMs),
    failureProbability: worker.failureProbability,
    ...(Option.isSome(worker.failureSeed) && { failureSeed: worker.failureSeed.value })
  })

/** Host and name of the database; never the password. */
export const databaseOf = ({ database }: Settings): string =>
  Option.match(database.url, {
    onNone: () => `embedded in ${database.dataDirectory}`,
    onSome: (url) =>
      Result.match(Postgres.parseDatabaseUrl(Redacted.value(url)), {
        onFailure: () => "unknown",
        onSuccess: ({ shown }) => shown
      })
  })
