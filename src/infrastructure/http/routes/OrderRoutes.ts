import { Effect, Layer } from "effect"
import { HttpApiBuilder, HttpApiSchema, OpenApi } from "effect/http-api"
import { OrderPlatform } from "../../../application/OrderPlatform.ts"
import { makeOrderApi, type OrderApi } from "../../../contract/OrderApi.ts"
import { viewListedOrder, viewOrder } from "../../../contract/OrderView.ts"
import type { OrderTypes } from "../../../domain/OrderTypes.ts"
import { makeReadBody, type ReadBody } from "../body/SmallBodies.ts"
import { layerDocs, layerOpenApi } from "../docs/DocsRoute.ts"
import { callerName, CurrentRequest } from "../edge/CurrentRequest.ts"
import { layerWrongMethods } from "../edge/MethodNotAllowed.ts"
import { layerHandlers, layerInPipeline, withoutMiddleware } from "../edge/PipelinedRoutes.ts"
import { auditHandlers } from "./AuditRoutes.ts"
import { deadLetterHandlers } from "./DeadLetterRoutes.ts"
import { makeEventStreams, ServerCloses } from "./EventStream.ts"
import { failureGroupHandlers } from "./FailureGroupRoutes.ts"
import { groupHandlers } from "./GroupRoutes.ts"
import { healthHandlers } from "./HealthRoutes.ts"
import { bindingOf, cursorOf, pageOf } from "./ListingCursor.ts"
import { orderFilterOf } from "./ListingFilters.ts"
import { makeCancel, makeRun } from "./OrderControlRoutes.ts"
import { statsHandlers } from "./StatsRoutes.ts"
import { makeSubmit, makeSubmitMany } from "./SubmitRoutes.ts"
import { workerHandlers } from "./WorkerRoutes.ts"

const openapiPath = "/openapi.json" as const
const docsPath = "/docs" as const

const orderHandlers = <T>(api: OrderApi<T>, types: OrderTypes<T>, readBody: ReadBody) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const platform = yield* OrderPlatform.service(types)
      const cancel = makeCancel(platform, readBody)
      const submitMany = yield* makeSubmitMany(types)
      const eventStream = yield* makeEventStreams(yield* ServerCloses)
      return layerHandlers(
        HttpApiBuilder.group(api, "orders", (handlers) =>
          handlers
            // Never called: the pipeline calls the direct handler (`makeSubmit`) instead of this one.
            .handleRaw("submit", () => Effect.die("POST /orders has a direct handler"))
            .handleRaw("submitMany", submitMany)
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
            .handleRaw("cancel", cancel)
            .handle("run", makeRun(platform))
            .handle("explain", ({ params }) => platform.explain(params.id))
            .handle(
              "watch",
              Effect.fnUntraced(function* ({ headers: { "last-event-id": after = 0 }, params }) {
                const caller = callerName(yield* CurrentRequest)
                const options = caller === null ? { after } : { after, caller }
                return yield* eventStream(yield* platform.watch(params.id, options))
              })
            )
        )
      )
    })
  )

/**
 * The routes of the HTTP contract for orders of these types, for any `HttpRouter`. They serve only their own
 * paths, and each request passes the whole pipeline. The routes require only the platform.
 */
const layer = <T>(types: OrderTypes<T>) => {
  const contract = makeOrderApi(types)
  const api = withoutMiddleware(contract)
  const document = () => OpenApi.fromApi(contract)
  const endpoints = Effect.zipWith(OrderPlatform.service(types), makeReadBody, (platform, readBody) =>
    HttpApiBuilder.layer(api).pipe(
      Layer.provide([
        orderHandlers(api, types, readBody),
        deadLetterHandlers(api, platform),
        failureGroupHandlers(api, platform, readBody),
        workerHandlers(api, platform, readBody),
        groupHandlers(api, platform, readBody),
        auditHandlers(api, platform),
        statsHandlers(api, platform),
        layerHandlers(
          HttpApiBuilder.group(api, "health", (handlers) => handlers.handleAll(healthHandlers(platform)))
        )
      ])
    )
  )
  return Layer.mergeAll(
    Layer.unwrap(endpoints),
    layerOpenApi(openapiPath, document),
    layerDocs(contract, docsPath),
    layerWrongMethods(
      contract,
      [openapiPath, docsPath].map((path) => ({ path, methods: ["GET"] }))
    )
  ).pipe(
    Layer.provide(
      Layer.unwrap(
        Effect.map(makeSubmit(types), (submit) =>
          layerInPipeline(contract, new Map([["POST /orders", submit]]))
        )
      )
    )
  )
}

/** Serves the HTTP contract with the calls of `OrderPlatform`. */
export const OrderRoutes = { layer }
