import { Effect, Schema } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import { GroupLimitsBody } from "../../../contract/GroupsEndpoints.ts"
import { pageQuery } from "../../../contract/ListingQuery.ts"
import type { OrderApi } from "../../../contract/OrderApi.ts"
import { GroupName } from "../../../domain/Lane.ts"
import type { CallWithBody, ReadBody } from "../body/SmallBodies.ts"
import { CurrentRequest, operatorOf } from "../edge/CurrentRequest.ts"
import { layerHandlers } from "../edge/PipelinedRoutes.ts"
import { makePages } from "./ListingCursor.ts"
import { linkTo } from "./ListingFilters.ts"

const pages = makePages("/groups", GroupName)

interface SetCall extends CallWithBody {
  readonly params: { readonly group: string }
}

/** The handlers of the group `groups`. */
export const groupHandlers = <T>(api: OrderApi<T>, platform: OrderPlatform<T>, readBody: ReadBody) => {
  const set = readBody(GroupLimitsBody)(
    Effect.fnUntraced(function* ({ params: { group } }: SetCall, limits) {
      return yield* platform.setGroupLimits(group, limits, operatorOf(yield* CurrentRequest))
    })
  )
  return layerHandlers(
    HttpApiBuilder.group(api, "groups", (handlers) =>
      handlers
        .handle(
          "list",
          Effect.fnUntraced(function* ({ query }) {
            const { entries, next } = yield* platform.groups(yield* pages.pageOf(query))
            const headers =
              next === null
                ? {}
                : { link: linkTo("/groups", Schema.Struct(pageQuery), query, pages.cursorOf(next)) }
            return HttpApiSchema.withHeaders({ body: entries, headers })
          })
        )
        // A `SchemaError` is a defect here, because the name and the body were decoded.
        .handleRaw("set", (call) => Effect.catchTag(set(call), "SchemaError", Effect.die))
        .handle(
          "delete",
          Effect.fnUntraced(function* ({ params: { group } }) {
            yield* platform.deleteGroupLimits(group, operatorOf(yield* CurrentRequest))
          })
        )
    )
  )
}
