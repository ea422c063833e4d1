import { Effect } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import { DeadLetterQuery } from "../../../contract/DeadLettersEndpoints.ts"
import type { OrderApi } from "../../../contract/OrderApi.ts"
import { CurrentRequest, operatorOf } from "../edge/CurrentRequest.ts"
import { layerHandlers } from "../edge/PipelinedRoutes.ts"
import { versionOf, withIfMatch } from "./IfVersion.ts"
import { bindingOf, cursorOf, pageOf } from "./ListingCursor.ts"
import { deadLetterFilterOf, linkTo } from "./ListingFilters.ts"

/** The handlers of the group `deadLetters`. */
export const deadLetterHandlers = <T>(api: OrderApi<T>, platform: OrderPlatform<T>) =>
  layerHandlers(
    HttpApiBuilder.group(api, "deadLetters", (handlers) =>
      handlers.handleAll({
        list: Effect.fnUntraced(function* ({ query }) {
          const filter = deadLetterFilterOf(query)
          const binding = bindingOf("/dlq", filter)
          const { entries, next } = yield* platform.deadLetters(yield* pageOf(query, binding), filter)
          const headers =
            next === null ? {} : { link: linkTo("/dlq", DeadLetterQuery, query, cursorOf(next, binding)) }
          return HttpApiSchema.withHeaders({ body: entries, headers })
        }),
        get: ({ params }) => platform.deadLetter(params.orderId),
        reprocess: Effect.fnUntraced(function* ({ headers, params: { orderId } }) {
          const operator = operatorOf(yield* CurrentRequest)
          yield* withIfMatch(headers, versionOf(platform, orderId), (options) =>
            platform.reprocess(orderId, { ...options, operator })
          )
          return { orderId }
        }),
        discard: Effect.fnUntraced(function* ({ headers, params: { orderId }, query: { reason = "" } }) {
          const operator = operatorOf(yield* CurrentRequest)
          const given = reason.trim() === "" ? {} : { reason }
          yield* withIfMatch(headers, versionOf(platform, orderId), (options) =>
            platform.discard(orderId, { ...options, ...given, operator })
          )
        })
      })
    )
  )
