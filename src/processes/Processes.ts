import { Console, Duration, Effect, Layer, Option, References } from "effect"
import { HttpServer } from "effect/http"
import { DeleteOldOrders } from "../application/upkeep/DeleteOldOrders.ts"
import { OrderPlatform } from "../application/OrderPlatform.ts"
import { OrderWorker } from "../application/work/OrderWorker.ts"
import { client, databaseOf, queue, queueOf, references, type Settings, simulation } from "./Composition.ts"
import { anyJsonObject } from "../domain/OrderPayload.ts"
import { Environment } from "../Environment.ts"
import { InvalidSettings } from "../infrastructure/config/InvalidSettings.ts"
import { Readiness } from "../infrastructure/http/routes/Readiness.ts"
import { HealthRoutes } from "../infrastructure/http/routes/HealthRoutes.ts"
import { BoundAddress, OrderHttpServer } from "../infrastructure/http/server/HttpServer.ts"
import { OrderRoutes } from "../infrastructure/http/routes/OrderRoutes.ts"
import * as Migrations from "../infrastructure/postgres/Migrations.ts"
import * as Postgres from "../infrastructure/postgres/Postgres.ts"

// Each process below is layers on layers: a line stands on the lines after it, and at shutdown they close from the
// top, so that load balancers are turned away first, then the worker drains, then HTTP, then the database. The server
// listens before there is a database, for as long as it takes, so that whoever looks is told what the process waits for.

/** Everything in one process: API, worker and, unless a database is named, PostgreSQL. */
export const serve = process((settings) =>
  announceStart("API and worker", workerOf(settings), settings).pipe(
    Layer.provide(worker(settings)),
    Layer.provide(OrderHttpServer.layerServing(OrderRoutes.layer(anyJsonObject))),
    Layer.provide(OrderPlatform.layer(anyJsonObject)),
    Layer.provide([Postgres.layerStores, queue(settings)])
  )
)

/** Takes orders; workers in other processes process them. */
export const api = process(
  (settings) =>
    announceStart("API", "", settings).pipe(
      Layer.provide(OrderHttpServer.layerServing(OrderRoutes.layer(anyJsonObject))),
      Layer.provide(OrderPlatform.layer(anyJsonObject)),
      Layer.provide([Postgres.layerStores, queue(settings)])
    ),
  sharesOrders
)

/** Processes orders; serves nothing but its health and metrics. */
export const workerAlone = process(
  (settings) =>
    announceStart("worker", workerOf(settings), settings).pipe(
      Layer.provide(worker(settings)),
      Layer.provide(OrderHttpServer.layerServing(HealthRoutes.layer)),
      Layer.provide([Postgres.layerStores, queue(settings)])
    ),
  sharesOrders
)

/** Brings the database to this version and ends. */
export const migrate = Effect.flatMap(Environment, (settings) =>
  Effect.andThen(
    Migrations.migrate,
    Effect.logInfo(`The database ${databaseOf(settings)} is at this version.`)
  ).pipe(Effect.provide(client(settings).pipe(Layer.provideMerge(references(settings)))))
)

/** Requests in flight at shutdown may take this long, after the worker has drained. */
const gracefulShutdownTimeout = Duration.seconds(2)

/** A process that has not stopped by itself this long after the drain deadline is ended; its orders are safe. */
const lastResort = Duration.millis(4000)

function process<A, E, R>(
  layers: (settings: Settings) => Layer.Layer<A, E, R>,
  check: (settings: Settings) => Effect.Effect<void, InvalidSettings> = () => Effect.void
) {
  return Layer.unwrap(
    Effect.gen(function* () {
      const settings = yield* Environment
      yield* check(settings)
      return layers(settings).pipe(
        Layer.provide(client(settings)),
        Layer.provide(OrderHttpServer.layerListening({ ...settings.server, gracefulShutdownTimeout })),
        Layer.provide([references(settings), Layer.succeed(Postgres.StartingPatience, Duration.infinity)])
      )
    })
  )
}

function worker(settings: Settings) {
  return Layer.mergeAll(
    OrderWorker.layer(anyJsonObject).pipe(Layer.provide(simulation(settings))),
    DeleteOldOrders.layer
  )
}

// Processes that share orders need a database and announcements that reach across processes.
function sharesOrders({ database, order }: Settings) {
  const problem =
    order.queue === "memory"
      ? "order.queue (ORDER_QUEUE) is memory, which reaches no other process: separate API and worker processes need postgres."
      : "database.url (DATABASE_URL) is not set, and the embedded database belongs to one process: separate API and worker processes need one."
  const shared = order.queue !== "memory" && Option.isSome(database.url)
  return shared ? Effect.void : Effect.fail(new InvalidSettings({ problems: [problem] }))
}

// The one line that says what runs where, whatever the log level; and, since it is built last and so closed first, the first step of a stop.
function announceStart(what: string, worker: string, settings: Settings) {
  const limit = Duration.sum(Duration.millis(settings.order.worker.drainTimeoutMs), lastResort)
  const end = Console.error("order-platform did not stop in time and is ended.").pipe(
    Effect.andThen(Effect.sync(() => globalThis.process.exit(0)))
  )
  return Layer.effectDiscard(
    Effect.gen(function* () {
      const address = HttpServer.formatAddress(yield* BoundAddress)
      yield* Effect.logInfo(
        `order-platform serves on ${address}; runs: ${what}; database: ${databaseOf(settings)}; queue: ${queueOf(settings)}${worker}`
      ).pipe(Effect.provideService(References.MinimumLogLevel, "Info"))
      yield* Effect.addFinalizer(() =>
        Effect.andThen(Readiness.drain, Effect.forkDetach(Effect.delay(end, limit)))
      )
    })
  )
}

function workerOf({ order }: Settings): string {
  const { concurrency, failureProbability } = order.worker
  return `; worker concurrency: ${concurrency}; simulated failures: ${failureProbability}`
}
