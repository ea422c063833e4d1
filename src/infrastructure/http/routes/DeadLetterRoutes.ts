import { Effect } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import type { OrderApi } from "../../../contract/OrderApi.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { layerHandlers } from "../edge/PipelinedRoutes.ts"
import { bindingOf, cursorOf, pageOf } from "./ListingCursor.ts"
import { deadLetterFilterOf, linkTo } from "./ListingFilters.ts"

/** A version that no order has: they begin with 1. */
const noVersion = 0

/** The version that the caller expects the order in, if it names any. Of several, the one that the order is in. */
const expected = <E>(
  { "if-match": versions = null }: { readonly "if-match"?: ReadonlyArray<number> | null },
  version: Effect.Effect<number, E>
): Effect.Effect<{ readonly ifVersion?: number }, E> => {
  if (versions === null) return Effect.succeed({})
  const [ifVersion = noVersion, ...others] = versions
  return others.length === 0
    ? Effect.succeed({ ifVersion })
    : Effect.map(version, (now) => ({ ifVersion: versions.includes(now) ? now : noVersion }))
}

/** The handlers of the group `deadLetters`. */
export const deadLetterHandlers = <P>(api: OrderApi<P>, platform: OrderPlatform<P>) => {
  const versionOf = (id: OrderId) => Effect.map(platform.find(id), ({ version }) => version)
  return layerHandlers(
    HttpApiBuilder.group(api, "deadLetters", (handlers) =>
      handlers.handleAll({
        list: Effect.fnUntraced(function* ({ query }) {
          const filter = deadLetterFilterOf(query)
          const binding = bindingOf("/dlq", filter)
          const { entries, next } = yield* platform.deadLetters(yield* pageOf(query, binding), filter)
          const headers = next === null ? {} : { link: linkTo(query, cursorOf(next, binding)) }
          return HttpApiSchema.withHeaders({ body: entries, headers })
        }),
        get: ({ params }) => platform.deadLetter(params.orderId),
        reprocess: Effect.fnUntraced(function* ({ headers, params: { orderId } }) {
          yield* platform.reprocess(orderId, yield* expected(headers, versionOf(orderId)))
          return { orderId }
        }),
        discard: Effect.fnUntraced(function* ({ headers, params: { orderId }, query: { reason = "" } }) {
          yield* platform.discard(orderId, {
            ...(yield* expected(headers, versionOf(orderId))),
            ...(reason.trim() === "" ? {} : { reason })
          })
        })
      })
    )
  )
}
