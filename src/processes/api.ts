import { Layer } from "effect"
import { OrderPlatform } from "../application/OrderPlatform.ts"
import { anyJsonObject } from "../domain/OrderPayload.ts"
import { OrderRoutes } from "../infrastructure/http/routes/OrderRoutes.ts"
import { OrderHttpServer } from "../infrastructure/http/server/HttpServer.ts"
import * as Postgres from "../infrastructure/postgres/Postgres.ts"
import { queue } from "./Composition.ts"
import { announceStart, servingProcess, sharesOrders } from "./ServingProcess.ts"

/** Accepts orders; workers in other processes process them. */
export const api = servingProcess(
  "api",
  (settings) =>
    announceStart("API", settings).pipe(
      Layer.provide(OrderHttpServer.layerServing(OrderRoutes.layer(anyJsonObject))),
      Layer.provide(OrderPlatform.layer(anyJsonObject)),
      Layer.provide([Postgres.layerStores, queue(settings)])
    ),
  sharesOrders
)
