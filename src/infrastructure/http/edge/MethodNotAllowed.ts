import type { Layer } from "effect"
import { type HttpMethod, HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, type HttpApiGroup } from "effect/http-api"
import { METHODS } from "node:http"
import { MethodNotAllowed } from "../../../contract/RequestErrors.ts"
import { problemResponse } from "./ProblemResponse.ts"

/** A path of a router, and the methods that are served there. */
interface ServedPath {
  readonly path: HttpRouter.PathInput
  readonly methods: ReadonlyArray<HttpMethod.HttpMethod>
}

const methodsByPath = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  others: ReadonlyArray<ServedPath>
) => {
  const methods = new Map<HttpRouter.PathInput, Set<string>>()
  const serve = (path: HttpRouter.PathInput, method: HttpMethod.HttpMethod) => {
    const served = methods.get(path) ?? new Set(["OPTIONS"])
    methods.set(path, served.add(method))
    if (method === "GET") served.add("HEAD")
  }
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => serve(endpoint.path as HttpRouter.PathInput, endpoint.method)
  })
  for (const { methods, path } of others) for (const method of methods) serve(path, method)
  return methods
}

const notAllowed = (path: HttpRouter.PathInput, allow: string) => {
  const response = HttpServerResponse.setHeader(
    problemResponse(new MethodNotAllowed({ message: `Allowed methods: ${allow}.` })),
    "allow",
    allow
  )
  return (method: string) =>
    // `HttpRouter` serves any method, but its types allow only the common ones.
    HttpRouter.route(method as HttpMethod.HttpMethod, path, response)
}

/**
 * Routes for all methods that the paths of an API do not support: 405 with `Allow`, and 204 for OPTIONS.
 * Because these are routes, they affect only these paths, and can be added to the router of an app.
 */
export const layerWrongMethods = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  others: ReadonlyArray<ServedPath>
): Layer.Layer<never, never, HttpRouter.HttpRouter> => {
  const routes = [...methodsByPath(api, others)].flatMap(([path, served]) => {
    const allow = [...served].sort().join(", ")
    const options = HttpServerResponse.empty({ status: 204, headers: { allow } })
    // The router serves HEAD by the route of GET, even if that route answers 405.
    const wrong = METHODS.filter((method) => method !== "HEAD" && !served.has(method))
    return [HttpRouter.route("OPTIONS", path, options), ...wrong.map(notAllowed(path, allow))]
  })
  return HttpRouter.addAll(routes)
}
