import { Layer } from "effect"
import { HealthRoutes } from "../infrastructure/http/routes/HealthRoutes.ts"
import { OrderHttpServer } from "../infrastructure/http/server/HttpServer.ts"
import * as Postgres from "../infrastructure/postgres/Postgres.ts"
import { queue, workerLayer } from "./Composition.ts"
import { announceStart, servingProcess, sharesOrders } from "./ServingProcess.ts"

/** Processes orders; serves only health and metrics. */
export const worker = servingProcess(
  "worker",
  (settings) =>
    announceStart("worker", settings).pipe(
      Layer.provide([workerLayer(settings), OrderHttpServer.layerServing(HealthRoutes.layer)]),
      Layer.provide([Postgres.layerStores, queue(settings)])
    ),
  sharesOrders
)
