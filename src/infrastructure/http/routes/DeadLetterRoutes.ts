import { Effect } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import type { OrderApi } from "../../../contract/OrderApi.ts"
import { OrderVersionMismatch } from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { layerHandlers } from "../edge/PipelinedRoutes.ts"
import { bindingOf, cursorOf, pageOf } from "./ListingCursor.ts"
import { deadLetterFilterOf, linkTo } from "./ListingFilters.ts"

/** A version that no order has, because versions begin with 1. */
const noVersion = 0

interface IfVersion {
  readonly ifVersion?: number
}

/**
 * Runs a call with the version that `If-Match` expects. If the header names several versions, the current
 * version of the order is read first. If the order changes between the read and the call, both are repeated.
 * The repetition ends at the latest when the order's version is higher than every version in the header,
 * because every change that causes a repetition raises the version.
 */
const withIfMatch = <A, E, E2, R>(
  { "if-match": versions = null }: { readonly "if-match"?: ReadonlyArray<number> | null },
  version: Effect.Effect<number, E2>,
  call: (options: IfVersion) => Effect.Effect<A, E | OrderVersionMismatch, R>
): Effect.Effect<A, E | E2 | OrderVersionMismatch, R> => {
  if (versions === null) return call({})
  const [ifVersion = noVersion, ...others] = versions
  if (others.length === 0) return call({ ifVersion })
  const readAndCall: Effect.Effect<A, E | E2 | OrderVersionMismatch, R> = Effect.flatMap(version, (now) =>
    versions.includes(now)
      ? Effect.catchIf(
          call({ ifVersion: now }),
          (error) => error instanceof OrderVersionMismatch,
          () => readAndCall
        )
      : call({ ifVersion: noVersion })
  )
  return readAndCall
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
          yield* withIfMatch(headers, versionOf(orderId), (options) => platform.reprocess(orderId, options))
          return { orderId }
        }),
        discard: Effect.fnUntraced(function* ({ headers, params: { orderId }, query: { reason = "" } }) {
          const given = reason.trim() === "" ? {} : { reason }
          yield* withIfMatch(headers, versionOf(orderId), (options) =>
            platform.discard(orderId, { ...options, ...given })
          )
        })
      })
    )
  )
}
