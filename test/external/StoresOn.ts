import { Duration, Layer, Redacted } from "effect"
import * as Postgres from "../../src/infrastructure/postgres/Postgres.ts"

/** The migrated stores on another database than that of the test run. */
export const storesOn = (url: string, schema = "public", maxConnections = 4) =>
  Postgres.layerStores.pipe(
    Layer.provideMerge(
      Postgres.layerClient({
        url: Redacted.make(url),
        maxConnections,
        prepare: true,
        acquireTimeout: Duration.seconds(5),
        statementTimeout: Duration.seconds(15)
      })
    ),
    Layer.provideMerge(Layer.succeed(Postgres.DatabaseSchema, schema)),
    Layer.provide(Layer.succeed(Postgres.StartTimeout, Duration.seconds(5))),
    Layer.fresh
  )
