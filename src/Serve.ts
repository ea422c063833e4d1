import { Console, Duration, Effect, Layer, Option, Redacted } from "effect"
import { HttpServer } from "effect/http"
import { hostname } from "node:os"
import { DefaultMaxRetries, OrderPlatform } from "./application/OrderPlatform.ts"
import { OrderWorker } from "./application/OrderWorker.ts"
import { WorkerSettings } from "./application/WorkerSettings.ts"
import { anyJsonObject } from "./domain/OrderPayload.ts"
import { RetryPolicy } from "./domain/RetryPolicy.ts"
import { Environment } from "./Environment.ts"
import { Readiness } from "./infrastructure/http/Health.ts"
import { BoundAddress, OrderHttpServer } from "./infrastructure/http/HttpServer.ts"
import { OrderRoutes } from "./infrastructure/http/OrderRoutes.ts"
import { MaxBodyBytes, RequestTimeout } from "./infrastructure/http/RequestLimits.ts"
import * as MemoryOrderQueue from "./infrastructure/memory/MemoryOrderQueue.ts"
import { EmbeddedPostgres } from "./infrastructure/postgres/EmbeddedPostgres.ts"
import * as Postgres from "./infrastructure/postgres/Postgres.ts"
import * as SimulatedOrderProcessor from "./infrastructure/simulation/SimulatedOrderProcessor.ts"

type Settings = Environment["Service"]

/** Requests in flight at shutdown may take this long, after the worker has drained. */
const gracefulShutdownTimeout = Duration.seconds(2)

/** A process that has not stopped by itself this long after the drain deadline is ended; its orders are safe. */
const lastResort = Duration.millis(4500)

const references = ({ database, intake, order: { worker }, server }: Settings) =>
  Layer.mergeAll(
    Layer.succeed(Postgres.DatabaseSchema, database.schema),
    Layer.succeed(
      Postgres.CallTimeLimit,
      Duration.millis(database.acquireTimeoutMs + database.statementTimeoutMs)
    ),
    Layer.succeed(DefaultMaxRetries, worker.maxRetries),
    Layer.succeed(MaxBodyBytes, intake.maxBodyBytes),
    Layer.succeed(RequestTimeout, Duration.millis(server.requestTimeoutMs)),
    Layer.succeed(RetryPolicy, {
      backoff: worker.retryBackoff,
      delay: Duration.millis(worker.retryDelayMs),
      maxDelay: Duration.millis(worker.retryMaxDelayMs),
      jitter: worker.retryJitter
    }),
    Layer.succeed(WorkerSettings, {
      name: `${hostname()}:${process.pid}:${globalThis.crypto.randomUUID().slice(0, 8)}`,
      concurrency: worker.concurrency,
      lease: Duration.millis(worker.leaseMs),
      attemptTimeout: Duration.millis(worker.attemptTimeoutMs),
      pollInterval: Duration.millis(worker.pollIntervalMs),
      drainTimeout: Duration.millis(worker.drainTimeoutMs)
    })
  )

const client = ({ database }: Settings) => {
  const connect = (url: Redacted.Redacted) =>
    Postgres.layerClient({
      url,
      maxConnections: database.maxConnections,
      prepare: database.prepare,
      statementTimeout: Duration.millis(database.statementTimeoutMs)
    })
  return Option.match(database.url, {
    onSome: connect,
    onNone: () =>
      Layer.unwrap(Effect.map(EmbeddedPostgres, ({ url }) => connect(url))).pipe(
        Layer.provide(EmbeddedPostgres.layer({ dataDirectory: database.dataDirectory }))
      )
  })
}

const simulation = ({ order: { worker } }: Settings) =>
  SimulatedOrderProcessor.layer(anyJsonObject, {
    processingDelay: Duration.millis(worker.processingDelayMs),
    failureProbability: worker.failureProbability,
    ...(Option.isSome(worker.failureSeed) && { failureSeed: worker.failureSeed.value })
  })

/** Host and name of the database; never the password. */
const databaseOf = ({ database }: Settings): string =>
  Option.match(database.url, {
    onNone: () => `embedded in ${database.dataDirectory}`,
    onSome: (url) => {
      const { host, pathname } = new URL(Redacted.value(url))
      return `${host}${pathname}`
    }
  })

// The one line that says what runs where.
const sayWhatRuns = (settings: Settings) =>
  Effect.gen(function* () {
    const address = HttpServer.formatAddress(yield* BoundAddress)
    const { order } = settings
    const { concurrency, failureProbability } = order.worker
    yield* Effect.logInfo(
      `order-platform serves on ${address}; database: ${databaseOf(settings)}; queue: ${order.queue}; ` +
        `worker concurrency: ${concurrency}; simulated failures: ${failureProbability}`
    )
  })

// Built last and so closed first: load balancers are turned away before anything stops.
const turnAway = ({ order: { worker } }: Settings) =>
  Effect.addFinalizer(() => {
    const limit = Duration.sum(Duration.millis(worker.drainTimeoutMs), lastResort)
    const end = Console.error("order-platform did not stop in time and is ended.").pipe(
      Effect.andThen(Effect.sync(() => process.exit(0)))
    )
    return Effect.andThen(Readiness.drain, Effect.forkDetach(Effect.delay(end, limit)))
  })

/**
 * Everything in one process: API, worker and, unless a database is named, PostgreSQL. Each line stands on those
 * below it; at shutdown they close from the top: not ready, worker, HTTP, intake, database.
 */
export const serve = Layer.unwrap(
  Effect.map(Environment, (settings) =>
    Layer.effectDiscard(Effect.andThen(sayWhatRuns(settings), turnAway(settings))).pipe(
      Layer.provide(OrderWorker.layer(anyJsonObject).pipe(Layer.provide(simulation(settings)))),
      Layer.provide(
        OrderHttpServer.layer(OrderRoutes.layer(anyJsonObject), {
          ...settings.server,
          gracefulShutdownTimeout
        })
      ),
      Layer.provide(OrderPlatform.layer(anyJsonObject)),
      Layer.provide([Postgres.layer, MemoryOrderQueue.layer]),
      Layer.provide(client(settings)),
      Layer.provide(references(settings))
    )
  )
)
