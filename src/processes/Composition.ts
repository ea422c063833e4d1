import { Duration, Effect, Layer, Option, Redacted, Result } from "effect"
import { DeleteOldOrders } from "../application/upkeep/DeleteOldOrders.ts"
import { OrderWorker } from "../application/work/OrderWorker.ts"
import { anyJsonObject } from "../domain/OrderPayload.ts"
import { EmbeddedPostgres } from "../infrastructure/embedded-postgres/EmbeddedPostgres.ts"
import * as MemoryWakeUp from "../infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import * as Postgres from "../infrastructure/postgres/Postgres.ts"
import * as PostgresWakeUp from "../infrastructure/postgres/wake-ups/PostgresWakeUp.ts"
import * as SimulatedOrderProcessor from "../infrastructure/simulation/SimulatedOrderProcessor.ts"
import type { Settings } from "./References.ts"

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

/** The connection pool of the configured database, or of an embedded one. */
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

/** Host and name of the database, without the password, for log lines. */
export const databaseOf = ({ database }: Settings): string =>
  Option.match(database.url, {
    onNone: () => `embedded in ${database.dataDirectory}`,
    onSome: (url) =>
      Result.match(Postgres.parseDatabaseUrl(Redacted.value(url)), {
        onFailure: () => "unknown",
        onSuccess: ({ shown }) => shown
      })
  })

/**
 * Announces due orders to workers. LISTEN does not work through a pooler: behind one, a direct connection
 * (`database.listenUrl`) is used, and without it the workers only poll.
 */
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

/** How orders are announced to workers, for the start line. */
export const queueOf = ({ database, order }: Settings): string =>
  order.queue === "postgres" && !database.prepare && Option.isNone(database.listenUrl)
    ? "postgres, by polling only (LISTEN behind a pooler needs database.listenUrl)"
    : order.queue

/** The processor of the shipped server. */
export const simulation = ({ order: { worker } }: Settings) =>
  SimulatedOrderProcessor.layer(anyJsonObject, {
    processingDelay: Duration.millis(worker.processingDelayMs),
    failureProbability: worker.failureProbability,
    ...(Option.isSome(worker.failureSeed) && { failureSeed: worker.failureSeed.value })
  })

/** Processes orders, and deletes old ones if a retention is set. */
export const workerLayer = (settings: Settings) =>
  Layer.mergeAll(
    OrderWorker.layer(anyJsonObject).pipe(Layer.provide(simulation(settings))),
    DeleteOldOrders.layer
  )
