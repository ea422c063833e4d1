import { Effect, Layer, Option } from "effect"
import { HttpApiBuilder, HttpApiSchema, OpenApi } from "effect/http-api"
import { OrderPlatform } from "../../../application/OrderPlatform.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderPayload } from "../../../domain/OrderPayload.ts"
import { ContentNegotiation } from "../edge/ContentNegotiation.ts"
import { makeBodyBudget } from "../body/BodyBytes.ts"
import { CurrentCaller } from "../edge/Caller.ts"
import { Authorization } from "../edge/Authorization.ts"
import { CurrentCorrelationId } from "../edge/CurrentCorrelationId.ts"
import { deadLetterFilterOf, linkTo, orderFilterOf } from "./ListingFilters.ts"
import { layerDocs, layerOpenApi } from "../docs/DocsRoute.ts"
import { makeEventStreams, ServerCloses } from "./EventStream.ts"
import { layerEveryRequest } from "../edge/RequestPipeline.ts"
import { healthHandlers } from "./HealthRoutes.ts"
import { idempotencyOf, replayedHeaderOf } from "./Idempotency.ts"
import { bindingOf, cursorOf, pageOf } from "./ListingCursor.ts"
import { type HandledApi, makeHandledApi, makeOrderApi } from "../../../contract/OrderApi.ts"
import { viewListedOrder, viewOrder } from "../../../contract/OrderView.ts"
import { layerRequestDecoding } from "../edge/RequestDecoding.ts"
import { MaxBulkBodyBytes } from "../edge/RequestLimits.ts"
import { viewStats } from "../../../contract/StatsEndpoints.ts"
import { layerSubmitOrder } from "./SubmitOrderRoute.ts"
import { decodeOrdersBody } from "../body/SubmitOrdersDecoding.ts"
import { viewResults } from "./SubmitResults.ts"
import { layerWrongMethods } from "../edge/MethodNotAllowed.ts"

// Longer than 150 lines because every endpoint is read in one place, and each is one call.

const openapiPath = "/openapi.json" as const
const docsPath = "/docs" as const

const orders = <P>(api: HandledApi<P>, payload: OrderPayload<P>) =>
  HttpApiBuilder.group(
    api,
    "orders",
    Effect.fnUntraced(function* (handlers) {
      const platform = yield* OrderPlatform.service(payload)
      const eventStream = yield* makeEventStreams(yield* ServerCloses)
      const decodeBodyOfMany = decodeOrdersBody(payload)
      const withinBudget = makeBodyBudget(yield* MaxBulkBodyBytes)
      return handlers
        .handleRaw("submitMany", ({ headers }) =>
          withinBudget(
            Effect.fnUntraced(function* (reservation) {
              const orders = yield* decodeBodyOfMany(reservation)
              const correlationId = Option.getOrUndefined(yield* CurrentCorrelationId)
              const submissions =
                correlationId === undefined
                  ? orders
                  : orders.map((order) => ("refused" in order ? order : { ...order, correlationId }))
              const idempotency = idempotencyOf(headers, "POST /orders/bulk", yield* CurrentCaller)
              const { answer, replayed } = yield* platform.submitMany(
                submissions,
                idempotency === null ? {} : { idempotency }
              )
              return HttpApiSchema.withHeaders({
                body: viewResults(answer),
                headers: replayedHeaderOf(replayed)
              })
            })
          ).pipe(Effect.catchTag("SchemaError", Effect.die))
        )
        .handle(
          "list",
          Effect.fnUntraced(function* ({ query }) {
            const filter = orderFilterOf(query)
            const binding = bindingOf("/orders", filter)
            const { entries, next } = yield* platform.list(yield* pageOf(query, binding), filter)
            return {
              orders: entries.map(viewListedOrder),
              nextCursor: next === null ? null : cursorOf(next, binding)
            }
          })
        )
        .handle("get", ({ params }) =>
          Effect.map(platform.find(params.id), (order) =>
            HttpApiSchema.withHeaders({ body: viewOrder(order), headers: { etag: `"${order.version}"` } })
          )
        )
        .handle("explain", ({ params }) => platform.explain(params.id))
        .handle(
          "watch",
          Effect.fnUntraced(function* ({ headers: { "last-event-id": after = 0 }, params }) {
            const caller = Option.match(yield* CurrentCaller, {
              onNone: () => ({}),
              onSome: ({ name }) => ({ caller: name })
            })
            return eventStream(yield* platform.watch(params.id, { after, ...caller }))
          })
        )
    })
  )

/** No order is in this version: it begins with 1. */
const noVersion = 0

/** The version that the caller expects the order in, if it says so. Of several it is the one that the order is in. */
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

const deadLetters = <P>(api: HandledApi<P>, payload: OrderPayload<P>) =>
  HttpApiBuilder.group(
    api,
    "deadLetters",
    Effect.fnUntraced(function* (handlers) {
      const platform = yield* OrderPlatform.service(payload)
      const versionOf = (id: OrderId) => Effect.map(platform.find(id), ({ version }) => version)
      return handlers.handleAll({
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
    })
  )

const stats = <P>(api: HandledApi<P>, payload: OrderPayload<P>) =>
  HttpApiBuilder.group(
    api,
    "stats",
    Effect.fnUntraced(function* (handlers) {
      const platform = yield* OrderPlatform.service(payload)
      return handlers.handleAll({ get: () => Effect.map(platform.stats, viewStats) })
    })
  )

const health = <P>(api: HandledApi<P>, payload: OrderPayload<P>) =>
  HttpApiBuilder.group(
    api,
    "health",
    Effect.fnUntraced(function* (handlers) {
      return handlers.handleAll(healthHandlers(yield* OrderPlatform.service(payload)))
    })
  )

/**
 * The routes of the HTTP contract for orders that carry `P`, for any `HttpRouter`: they answer on their own
 * paths only, with every promise that the contract makes. They need nothing but the platform.
 */
const layer = <P>(payload: OrderPayload<P>) => {
  const contract = makeOrderApi(payload)
  const api = makeHandledApi(payload)
  const document = () => OpenApi.fromApi(contract)
  const handled = Layer.mergeAll(
    HttpApiBuilder.layer(api),
    layerOpenApi(openapiPath, document),
    layerDocs(contract, docsPath),
    layerWrongMethods(
      contract,
      [openapiPath, docsPath].map((path) => ({ path, methods: ["GET"] }))
    )
  ).pipe(
    Layer.provide([
      orders(api, payload),
      deadLetters(api, payload),
      stats(api, payload),
      health(api, payload)
    ]),
    Layer.provide([layerEveryRequest, ContentNegotiation.layer, layerRequestDecoding, Authorization.layer])
  )
  return Layer.mergeAll(handled, layerSubmitOrder(payload))
}

/** Serves the HTTP contract: one `OrderPlatform` call an endpoint. */
export const OrderRoutes = { layer }
