import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import type { OrderApi } from "../../../contract/OrderApi.ts"
import { viewStats } from "../../../contract/StatsEndpoints.ts"
import { layerHandlers } from "../edge/PipelinedRoutes.ts"

/** The handlers of the group `stats`. */
export const statsHandlers = <T>(api: OrderApi<T>, platform: OrderPlatform<T>) =>
  layerHandlers(
    HttpApiBuilder.group(api, "stats", (handlers) =>
      handlers.handleAll({ get: () => Effect.map(platform.stats, viewStats) })
    )
  )
