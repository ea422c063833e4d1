import { Effect, Layer } from "effect"
import { HttpApi, HttpApiBuilder } from "effect/http-api"
import { type Backlog, OrderReads } from "../../../application/ports/OrderReads.ts"
import { HealthApi } from "../../../contract/HealthEndpoints.ts"
import type { OrdersUnavailable } from "../../../domain/OrderErrors.ts"
import { layerWrongMethods } from "../edge/MethodNotAllowed.ts"
import { layerHandlers, layerInPipeline, withoutMiddleware } from "../edge/PipelinedRoutes.ts"
import { metricsPage } from "./MetricsPage.ts"
import { checkReady } from "./Readiness.ts"

/** The handlers of the group `health`. `store` is the `OrderPlatform` or the `OrderReads`. */
export const healthHandlers = (store: {
  readonly ping: Effect.Effect<void, OrdersUnavailable>
  readonly backlog: Effect.Effect<Backlog, OrdersUnavailable>
}) => ({
  live: () => Effect.succeed({ status: "up" as const }),
  ready: () => Effect.as(checkReady(store.ping), { status: "ready" as const }),
  metrics: () => metricsPage(store.backlog)
})

const contract = HttpApi.make("order-platform-health").add(HealthApi)
const api = withoutMiddleware(contract)

/** Serves only health and metrics, for a process that processes orders and accepts none. */
export const HealthRoutes = {
  layer: Layer.mergeAll(HttpApiBuilder.layer(api), layerWrongMethods(contract, [])).pipe(
    Layer.provide(
      layerHandlers(
        HttpApiBuilder.group(api, "health", (handlers) =>
          Effect.map(OrderReads, (store) => handlers.handleAll(healthHandlers(store)))
        )
      )
    ),
    Layer.provide(layerInPipeline(contract))
  )
}
