import { Duration, Layer, Option, Record, Redacted } from "effect"
import { hostname } from "node:os"
import { MaxPending, MaxScheduled } from "../application/intake/Backpressure.ts"
import { IdempotencyTtl } from "../application/intake/Idempotency.ts"
import { DefaultMaxRetries, MaxPayloadBytes } from "../application/intake/Submission.ts"
import { Retention } from "../application/upkeep/DeleteOldOrders.ts"
import { BreakerSettings } from "../application/work/CircuitBreakers.ts"
import { WorkerSettings } from "../application/work/WorkerSettings.ts"
import { apiVersion } from "../contract/OrderApi.ts"
import { DefaultGroupLimits } from "../domain/Groups.ts"
import { RetryPolicy } from "../domain/RetryPolicy.ts"
import { SettingsOfTypes, type TypeSettings } from "../domain/TypeSettings.ts"
import type { Environment } from "../Environment.ts"
import { isLoopback } from "../infrastructure/config/Loopback.ts"
import { type ApiKey, ApiKeys } from "../infrastructure/http/edge/Caller.ts"
import { LoopbackNamesOnly } from "../infrastructure/http/edge/HostAndOrigin.ts"
import { MaxBodyBytes, MaxBulkBodyBytes, RequestTimeout } from "../infrastructure/http/edge/RequestLimits.ts"
import { CorsOrigins } from "../infrastructure/http/edge/ResponseHeaders.ts"
import * as Postgres from "../infrastructure/postgres/Postgres.ts"

/** The settings of a process. */
export type Settings = Environment["Service"]

/**
 * Connections of the pool that are reserved for claims, settles, the heartbeat and requests, and not used for writes of
 * processors.
 */
const reservedConnections = 4

/**
 * The settings as the values of the `Context.Reference`s that the layers of the process read. `role` is the subcommand
 * of the process, for the registry of workers.
 */
export const references = (settings: Settings, role = "worker") =>
  Layer.mergeAll(
    databaseReferences(settings),
    intakeReferences(settings),
    httpReferences(settings),
    workReferences(settings, role),
    ordersReferences(settings),
    Layer.succeed(Retention, {
      processed: daysOf(settings.retention.processedDays),
      failed: daysOf(settings.retention.failedDays)
    })
  )

const databaseReferences = ({ database }: Settings) =>
  Layer.mergeAll(
    Layer.succeed(Postgres.DatabaseSchema, database.schema),
    Layer.succeed(
      Postgres.CallTimeLimit,
      Duration.millis(database.acquireTimeoutMs + database.statementTimeoutMs)
    )
  )

const intakeReferences = ({ intake, order: { worker } }: Settings) =>
  Layer.mergeAll(
    Layer.succeed(DefaultMaxRetries, worker.maxRetries),
    Layer.succeed(MaxPending, intake.maxPending),
    Layer.succeed(MaxScheduled, intake.maxScheduled),
    // Every payload comes from a request body, whose size is already limited.
    Layer.succeed(MaxPayloadBytes, Infinity),
    Layer.succeed(IdempotencyTtl, Duration.millis(intake.idempotencyTtlMs))
  )

const httpReferences = ({ auth, intake, server }: Settings) =>
  Layer.mergeAll(
    Layer.succeed(MaxBodyBytes, intake.maxBodyBytes),
    Layer.succeed(MaxBulkBodyBytes, intake.maxBulkBodyBytes),
    Layer.succeed(RequestTimeout, Duration.millis(server.requestTimeoutMs)),
    Layer.succeed(
      CorsOrigins,
      Option.getOrElse(server.corsOrigins, () => [])
    ),
    Layer.succeed(ApiKeys, { clients: keysOf(auth.clientKeys), operators: keysOf(auth.operatorKeys) }),
    // A server without keys starts on a host that is not loopback only if auth.disabled is set. Such a server
    // is meant for other machines, so it accepts every name in Host.
    Layer.succeed(LoopbackNamesOnly, isLoopback(server.host))
  )

/** The settings of types and groups that must be the same in workers and API processes. */
const ordersReferences = ({ order: { groups, types } }: Settings) =>
  Layer.mergeAll(
    Layer.succeed(
      SettingsOfTypes,
      Record.map(
        Option.getOrElse(types, () => ({})),
        typeSettingsOf
      )
    ),
    Layer.succeed(DefaultGroupLimits, {
      maxRunning: Option.getOrNull(groups.maxRunning),
      ratePerSecond: Option.getOrNull(groups.ratePerSecond),
      maxPending: Option.getOrNull(groups.maxPending)
    })
  )

type GivenTypeSettings = Option.Option.Value<Settings["order"]["types"]>[string]

// Absent where nothing was given, so that the values for all types are used.
const typeSettingsOf = (given: GivenTypeSettings): TypeSettings => ({
  ...(given.maxRetries !== undefined && { maxRetries: given.maxRetries }),
  ...(given.attemptTimeoutMs !== undefined && { attemptTimeout: Duration.millis(given.attemptTimeoutMs) }),
  ...(given.concurrency !== undefined && { concurrency: given.concurrency }),
  retryPolicy: {
    ...(given.retryBackoff !== undefined && { backoff: given.retryBackoff }),
    ...(given.retryDelayMs !== undefined && { delay: Duration.millis(given.retryDelayMs) }),
    ...(given.retryMaxDelayMs !== undefined && { maxDelay: Duration.millis(given.retryMaxDelayMs) })
  }
})

const workReferences = ({ database, order: { breaker, worker } }: Settings, role: string) =>
  Layer.mergeAll(
    Layer.succeed(RetryPolicy, {
      backoff: worker.retryBackoff,
      delay: Duration.millis(worker.retryDelayMs),
      maxDelay: Duration.millis(worker.retryMaxDelayMs),
      jitter: worker.retryJitter
    }),
    Layer.succeed(BreakerSettings, {
      enabled: breaker.enabled,
      failureRate: breaker.failureRate,
      minimumAttempts: breaker.minimumAttempts,
      window: Duration.millis(breaker.windowMs),
      probeInterval: Duration.millis(breaker.probeIntervalMs)
    }),
    Layer.succeed(WorkerSettings, {
      name: `${hostname()}:${process.pid}:${globalThis.crypto.randomUUID().slice(0, 8)}`,
      concurrency: worker.concurrency,
      writeConcurrency: Math.max(1, database.maxConnections - reservedConnections),
      lease: Duration.millis(worker.leaseMs),
      attemptTimeout: Duration.millis(worker.attemptTimeoutMs),
      pollInterval: Duration.millis(worker.pollIntervalMs),
      drainTimeout: Duration.millis(worker.drainTimeoutMs),
      types: Option.getOrNull(worker.types),
      host: hostname(),
      version: apiVersion,
      role
    })
  )

const daysOf = (days: Option.Option<number>) => Option.getOrNull(Option.map(days, Duration.days))

function keysOf(setting: Settings["auth"]["clientKeys"]): ReadonlyArray<ApiKey> {
  const keys = Option.isSome(setting) ? Redacted.value(setting.value) : []
  return keys.map(({ name, secret }) => ({ name, secret: Redacted.make(secret) }))
}
