import { Effect, Schema } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import { viewAuditEntry } from "../../../contract/AuditEndpoints.ts"
import { pageQuery } from "../../../contract/ListingQuery.ts"
import type { OrderApi } from "../../../contract/OrderApi.ts"
import { layerHandlers } from "../edge/PipelinedRoutes.ts"
import { makePages } from "./ListingCursor.ts"
import { linkTo } from "./ListingFilters.ts"

const pages = makePages("/audit", Schema.Int)

/** The handlers of the group `audit`. */
export const auditHandlers = <T>(api: OrderApi<T>, platform: OrderPlatform<T>) =>
  layerHandlers(
    HttpApiBuilder.group(api, "audit", (handlers) =>
      handlers.handleAll({
        list: Effect.fnUntraced(function* ({ query }) {
          const { entries, next } = yield* platform.audit(yield* pages.pageOf(query))
          const headers =
            next === null
              ? {}
              : { link: linkTo("/audit", Schema.Struct(pageQuery), query, pages.cursorOf(next)) }
          return HttpApiSchema.withHeaders({ body: entries.map(viewAuditEntry), headers })
        })
      })
    )
  )
