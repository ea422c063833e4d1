import { Effect, Layer } from "effect"
import { HttpApi, HttpApiBuilder } from "effect/http-api"
import { type Backlog, OrderReads } from "../../../application/ports/OrderReads.ts"
import type { OrdersUnavailable } from "../../../domain/OrderErrors.ts"
import { ContentNegotiation } from "../edge/ContentNegotiation.ts"
import { Authorization } from "../edge/Authorization.ts"
import { layerEveryRequest } from "../edge/RequestPipeline.ts"
import { checkReady } from "./Readiness.ts"
import { HealthApi } from "../../../contract/HealthEndpoints.ts"
import { metricsPage } from "./MetricsPage.ts"
import { layerWrongMethods } from "../edge/MethodNotAllowed.ts"

/** The handlers of the health group, on whatever knows the store of orders. */
export const healthHandlers = (store: {
  readonly ping: Effect.Effect<void, OrdersUnavailable>
  readonly backlog: Effect.Effect<Backlog, OrdersUnavailable>
}) => ({
  live: () => Effect.succeed({ status: "up" as const }),
  ready: () => Effect.as(checkReady(store.ping), { status: "ready" as const }),
  metrics: () => metricsPage(store.backlog)
})

class HealthOnlyApi extends HttpApi.make("order-platform-health").add(HealthApi) {}

/** Serves health and metrics alone: for a process that processes orders and takes none. */
export const HealthRoutes = {
  layer: Layer.mergeAll(HttpApiBuilder.layer(HealthOnlyApi), layerWrongMethods(HealthOnlyApi, [])).pipe(
    Layer.provide(
      HttpApiBuilder.group(HealthOnlyApi, "health", (handlers) =>
        Effect.map(OrderReads, (reads) => handlers.handleAll(healthHandlers(reads)))
      )
    ),
    Layer.provide([layerEveryRequest, ContentNegotiation.layer, Authorization.layer])
  )
}
