import { Console, Duration, Effect, Layer, Option, References } from "effect"
import { HttpServer } from "effect/http"
import { Environment } from "../Environment.ts"
import { InvalidSettings } from "../infrastructure/config/InvalidSettings.ts"
import { isLoopback } from "../infrastructure/config/Loopback.ts"
import { Readiness } from "../infrastructure/http/routes/Readiness.ts"
import { BoundAddress, OrderHttpServer } from "../infrastructure/http/server/HttpServer.ts"
import * as Postgres from "../infrastructure/postgres/Postgres.ts"
import { client, databaseOf, queueOf } from "./Composition.ts"
import { references, type Settings } from "./References.ts"

// Shutdown: readiness turns 503. Then HTTP drains (DrainServer), and at the same time the worker stops
// claiming and drains. Then intake and wake-ups close, then the pool. If the process still runs when
// `lastResort` has passed since the drain deadline, it exits. The exit loses nothing, because everything
// acknowledged is stored.

/**
 * How much longer running requests may take than running attempts, so that both end within 5 s after the
 * drain deadline.
 */
const requestMargin = Duration.seconds(2)
const lastResort = Duration.seconds(4)

/**
 * How long idle connections stay open after the listener has closed. An event loop under load reads what has
 * arrived in less time than this.
 */
const idleGrace = Duration.millis(500)

/**
 * A process that serves HTTP. The server listens before the database is available, so that `/health/ready` can name
 * what the process waits for. `role` is its subcommand.
 */
export const servingProcess = <A, E, R>(
  role: string,
  layers: (settings: Settings) => Layer.Layer<A, E, R>,
  check: (settings: Settings) => Effect.Effect<void, InvalidSettings> = () => Effect.void
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const settings = yield* Environment
      yield* check(settings)
      const { host, port } = settings.server
      return layers(settings).pipe(
        Layer.provide(Layer.effectDiscard(Postgres.warnAboutDurability)),
        Layer.provide(client(settings)),
        Layer.provide(
          OrderHttpServer.layerListening({
            host,
            port,
            drainDelay: drainDelayOf(settings),
            idleGrace,
            gracefulShutdownTimeout: Duration.sum(drainTimeoutOf(settings), requestMargin)
          })
        ),
        Layer.provide([references(settings, role), Layer.succeed(Postgres.StartTimeout, Duration.infinity)])
      )
    })
  )

/** Fails if the settings do not let several processes share orders. */
export const sharesOrders = ({ database, order }: Settings) => {
  const problem =
    order.queue === "memory"
      ? "order.queue (ORDER_QUEUE) is memory, which works only within one process: separate API and worker processes need postgres."
      : "database.url (DATABASE_URL) is not set, and the embedded database belongs to one process: separate API and worker processes need a shared database."
  const shared = order.queue !== "memory" && Option.isSome(database.url)
  return shared ? Effect.void : Effect.fail(new InvalidSettings({ problems: [problem] }))
}

/**
 * Logs the start line, at every log level. The layer is built last and so closed first: its finalizer is the first step
 * of a shutdown.
 */
export const announceStart = (what: string, settings: Settings) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const address = HttpServer.formatAddress(yield* BoundAddress)
      yield* Effect.logInfo(
        `order-platform serves on ${address}; runs: ${what}; database: ${databaseOf(settings)}; queue: ${queueOf(settings)}${workerOf(what, settings)}`
      ).pipe(Effect.provideService(References.MinimumLogLevel, "Info"))
      yield* Effect.addFinalizer(() =>
        Effect.andThen(Readiness.drain, Effect.forkDetach(Effect.delay(end, limitOf(settings))))
      )
    })
  )

const workerOf = (what: string, { order: { worker } }: Settings): string =>
  what.includes("worker")
    ? `; worker concurrency: ${worker.concurrency}${typesOf(worker.types)}; simulated failures: ${worker.failureProbability}`
    : ""

const typesOf = Option.match({
  onNone: () => "",
  onSome: (types: ReadonlyArray<string>) => `; types: ${types.join(", ")}`
})

const end = Console.error("order-platform did not stop in time and exits now.").pipe(
  Effect.andThen(Effect.sync(() => globalThis.process.exit(0)))
)

const drainTimeoutOf = ({ order }: Settings) => Duration.millis(order.worker.drainTimeoutMs)

const drainDelayOf = ({ server }: Settings) =>
  Duration.millis(Option.getOrElse(server.drainDelayMs, () => (isLoopback(server.host) ? 0 : 5000)))

const limitOf = (settings: Settings) =>
  drainDelayOf(settings).pipe(Duration.sum(drainTimeoutOf(settings)), Duration.sum(lastResort))
