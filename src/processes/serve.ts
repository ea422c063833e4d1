import { Layer } from "effect"
import { OrderPlatform } from "../application/OrderPlatform.ts"
import { anyJsonObject } from "../domain/OrderPayload.ts"
import { OrderRoutes } from "../infrastructure/http/routes/OrderRoutes.ts"
import { OrderHttpServer } from "../infrastructure/http/server/HttpServer.ts"
import * as Postgres from "../infrastructure/postgres/Postgres.ts"
import { queue, workerLayer } from "./Composition.ts"
import { announceStart, servingProcess } from "./ServingProcess.ts"

/** Everything in one process: API, worker and, if no database is configured, PostgreSQL. */
export const serve = servingProcess("serve", (settings) =>
  announceStart("API and worker", settings).pipe(
    Layer.provide([workerLayer(settings), OrderHttpServer.layerServing(OrderRoutes.layer(anyJsonObject))]),
    Layer.provide(OrderPlatform.layer(anyJsonObject)),
    Layer.provide([Postgres.layerStores, queue(settings)])
  )
)
