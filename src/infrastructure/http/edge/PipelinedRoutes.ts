import { Effect, Layer, Record } from "effect"
import { HttpRouter, type HttpServerRequest, type HttpServerResponse } from "effect/http"
import { HttpApi, type HttpApiEndpoint, type HttpApiGroup } from "effect/http-api"
import {
  type AcceptableAnswers,
  ClientsOnly,
  OperatorsOnly,
  type RequestDecoding
} from "../../../contract/Middleware.ts"
import type { Role } from "./Caller.ts"
import { mediaTypesOf } from "./ContentNegotiation.ts"
import type { RequestIdentity } from "./CurrentRequest.ts"
import {
  forEveryone,
  inRequestContext,
  makeRequestPipeline,
  type Pipeline,
  type RouteRules
} from "./RequestPipeline.ts"

const roleOf = ({ middlewares }: HttpApiEndpoint.Top): Role | null => {
  const keys = new Set([...middlewares].map(({ key }) => key))
  if (keys.has(OperatorsOnly.key)) return "operator"
  return keys.has(ClientsOnly.key) ? "client" : null
}

const keyOf = (method: string, path: string) => `${method} ${path}`

/** The rules of each endpoint by method and path, as the middleware keys of the contract declare them. */
const rulesOf = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
): ReadonlyMap<string, RouteRules> => {
  const rules = new Map<string, RouteRules>()
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      const types = endpoint.middlewares.size === 0 ? () => [] : () => mediaTypesOf(endpoint)
      rules.set(keyOf(endpoint.method, endpoint.path), { role: roleOf(endpoint), mediaTypes: types })
    }
  })
  return rules
}

type MiddlewareKeys = AcceptableAnswers | ClientsOnly | OperatorsOnly | RequestDecoding

// The object with `changes`; all other members are inherited from `original`.
const derive = <A extends object>(original: A, changes: object): A =>
  Object.assign(Object.create(original) as A, changes)

/**
 * The API without its middleware keys. HttpApi serves the API in this form, because the pipeline
 * (RequestPipeline.ts) does what the keys declare. The contract keeps the keys for documents and clients.
 */
export const withoutMiddleware = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
): HttpApi.HttpApi<Id, Groups> => {
  const groups = Record.map(api.groups, (group: HttpApiGroup.Constraint) => {
    const endpoints = Record.map(group.endpoints, (endpoint) => derive(endpoint, { middlewares: new Set() }))
    return derive(group, { endpoints })
  })
  return derive(api, { groups })
}

/** Handlers of an API `withoutMiddleware`. Removes the middleware from the requirements of their type. */
export const layerHandlers = <A, E, R>(group: Layer.Layer<A, E, R>) =>
  group as Layer.Layer<A, E, Exclude<R, MiddlewareKeys>>

/**
 * Handlers, by method and path, that replace the handlers of HttpApi. They encode their errors themselves,
 * and are given the identity of the request instead of finding it in their context.
 */
export type DirectHandlers = ReadonlyMap<
  string,
  (
    request: HttpServerRequest.HttpServerRequest,
    identity: RequestIdentity
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse>
>

type InPipeline = (method: string, path: string) => Pipeline

/**
 * A router that runs the handler of each route in the pipeline. Routes are uninterruptible, as `TimeLimit`
 * requires.
 */
const pipelinedRouter = (
  router: HttpRouter.HttpRouter,
  inPipeline: InPipeline,
  direct: DirectHandlers
): HttpRouter.HttpRouter => {
  const pipelined = <E, R>(route: HttpRouter.Route<E, R>): HttpRouter.Route<E, R> => {
    const handle = direct.get(keyOf(route.method, route.path)) ?? inRequestContext(route.handler)
    return { ...route, handler: inPipeline(route.method, route.path)(handle), uninterruptible: true }
  }
  return HttpRouter.HttpRouter.of({
    ...router,
    prefixed: (prefix) => pipelinedRouter(router.prefixed(prefix), inPipeline, direct),
    addAll: (routes) => router.addAll(routes.map(pipelined) as unknown as typeof routes),
    add: (method, path, handler) => router.addAll([pipelined(HttpRouter.route(method, path, handler))])
  })
}

/** Runs the routes of this API in the pipeline, and no other routes of the same router. */
export const layerInPipeline = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  contract: HttpApi.HttpApi<Id, Groups>,
  direct: DirectHandlers = new Map()
) => {
  const rules = rulesOf(contract)
  return Layer.effect(
    HttpRouter.HttpRouter,
    Effect.gen(function* () {
      const pipeline = yield* makeRequestPipeline
      const inPipeline: InPipeline = (method, path) => pipeline(rules.get(keyOf(method, path)) ?? forEveryone)
      return pipelinedRouter(yield* HttpRouter.HttpRouter, inPipeline, direct)
    })
  )
}
