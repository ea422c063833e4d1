import { Effect, Layer } from "effect"
import { HttpApi, HttpApiBuilder } from "effect/http-api"
import { ControlStore } from "../../../application/ports/ControlStore.ts"
import { OrderReads } from "../../../application/ports/OrderReads.ts"
import { HealthApi } from "../../../contract/HealthEndpoints.ts"
import type { OrdersUnavailable } from "../../../domain/OrderErrors.ts"
import { layerWrongMethods } from "../edge/MethodNotAllowed.ts"
import { layerHandlers, layerInPipeline, withoutMiddleware } from "../edge/PipelinedRoutes.ts"
import { type MeasuredStore, metricsPage } from "./MetricsPage.ts"
import { checkReady } from "./Readiness.ts"

/**
 * The handlers of the group `health`. `store` is the `OrderPlatform`, or both the `OrderReads` and the `ControlStore`.
 */
export const healthHandlers = (
  store: MeasuredStore<OrdersUnavailable> & { readonly ping: Effect.Effect<void, OrdersUnavailable> }
) => ({
  live: () => Effect.succeed({ status: "up" as const }),
  ready: () => Effect.as(checkReady(store.ping), { status: "ready" as const }),
  metrics: () => metricsPage(store)
})

const contract = HttpApi.make("order-platform-health").add(HealthApi)
const api = withoutMiddleware(contract)

/** Serves only health and metrics, for a process that processes orders and accepts none. */
export const HealthRoutes = {
  layer: Layer.mergeAll(HttpApiBuilder.layer(api), layerWrongMethods(contract, [])).pipe(
    Layer.provide(
      layerHandlers(
        HttpApiBuilder.group(api, "health", (handlers) =>
          Effect.zipWith(OrderReads, ControlStore, (reads, control) =>
            handlers.handleAll(healthHandlers({ ...reads, ...control }))
          )
        )
      )
    ),
    Layer.provide(layerInPipeline(contract))
  )
}
