import { Effect, Schema } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import { MarkFixedBody } from "../../../contract/FailureGroupsEndpoints.ts"
import { pageQuery } from "../../../contract/ListingQuery.ts"
import type { OrderApi } from "../../../contract/OrderApi.ts"
import { Fingerprint } from "../../../domain/FailureGroup.ts"
import type { CallWithBody, ReadBody } from "../body/SmallBodies.ts"
import { CurrentRequest, operatorOf } from "../edge/CurrentRequest.ts"
import { layerHandlers } from "../edge/PipelinedRoutes.ts"
import { makePages } from "./ListingCursor.ts"
import { linkTo } from "./ListingFilters.ts"

const Count = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2_147_483_647 }))
const pages = makePages("/dlq/groups", Schema.Struct({ count: Count, fingerprint: Fingerprint }))

interface MarkFixedCall extends CallWithBody {
  readonly params: { readonly fingerprint: string }
}

/** The handlers of the group `failureGroups`. */
export const failureGroupHandlers = <T>(api: OrderApi<T>, platform: OrderPlatform<T>, readBody: ReadBody) => {
  const markFixed = readBody(MarkFixedBody)(
    Effect.fnUntraced(function* ({ params: { fingerprint } }: MarkFixedCall, { reason = "", ...mark }) {
      const operator = operatorOf(yield* CurrentRequest)
      const given = reason.trim() === "" ? {} : { reason }
      return yield* platform.markFixed(fingerprint, { ...mark, ...given, operator })
    })
  )
  return layerHandlers(
    HttpApiBuilder.group(api, "failureGroups", (handlers) =>
      handlers
        .handle(
          "list",
          Effect.fnUntraced(function* ({ query }) {
            const { entries, next } = yield* platform.failureGroups(yield* pages.pageOf(query))
            const headers =
              next === null
                ? {}
                : { link: linkTo("/dlq/groups", Schema.Struct(pageQuery), query, pages.cursorOf(next)) }
            return HttpApiSchema.withHeaders({ body: entries, headers })
          })
        )
        .handleRaw("markFixed", markFixed)
    )
  )
}
