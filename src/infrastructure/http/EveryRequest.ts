import { Cause, Effect, Option, type Types } from "effect"
import {
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import { ApiKeys, callerBy, CurrentCaller } from "./Caller.ts"
import { CurrentCorrelationId, correlationIdHeader, isCorrelationId } from "./CorrelationId.ts"
import { InternalFault, NoSuchPath, Unavailable } from "./Problems.ts"
import { invalidRequest } from "./RequestIssues.ts"
import { RequestTimeout } from "./RequestLimits.ts"

type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled>

const badCorrelationId = invalidRequest([
  {
    in: "header",
    path: ["X-Correlation-Id"],
    message: "Expected 1 to 128 printable ASCII characters, not only spaces"
  }
])

const outOfTime = Effect.logWarning("A request ran out of time").pipe(
  Effect.andThen(
    HttpServerRespondable.toResponse(
      new Unavailable({
        detail:
          "The request took longer than the server allows. Whether it had an effect is not known; see what it was about before repeating it."
      })
    )
  )
)

// A client that went away, or the server stopping, is no fault: it stays an interruption and is not logged.
const fault = <E>(cause: Cause.Cause<E>) =>
  Cause.hasInterruptsOnly(cause)
    ? Effect.failCause(cause)
    : Effect.logError("A request failed", cause).pipe(
        Effect.andThen(HttpServerRespondable.toResponse(new InternalFault()))
      )

const pathOf = (url: string) => url.split("?", 1)[0] ?? url

/**
 * What holds for every answer, whatever becomes of the request: a correlation id (taken or made), a body that
 * is a problem if it is an error, who sent it, an end in time, `Retry-After` with every 503, `WWW-Authenticate` with every
 * 401, and headers that keep caches and sniffers away.
 */
const everyRequest = Effect.gen(function* () {
  const timeout = yield* RequestTimeout
  const callerOf = callerBy(yield* ApiKeys)

  return Effect.fnUntraced(function* (handler: Answer) {
    const request = yield* HttpServerRequest.HttpServerRequest
    const given = request.headers[correlationIdHeader]
    const accepted = given === undefined || isCorrelationId(given)
    const correlationId = given !== undefined && accepted ? given : globalThis.crypto.randomUUID()
    const caller = callerOf(request.headers["authorization"])
    const response = yield* (accepted ? handler : HttpServerRespondable.toResponse(badCorrelationId)).pipe(
      Effect.timeoutOrElse({ duration: timeout, orElse: () => outOfTime }),
      Effect.catchCause(fault),
      Effect.provideService(CurrentCorrelationId, Option.some(correlationId)),
      Effect.provideService(CurrentCaller, caller),
      Effect.annotateLogs({
        correlationId,
        method: request.method,
        path: pathOf(request.url),
        ...(Option.isSome(caller) ? { caller: caller.value.name } : {})
      })
    )
    return HttpServerResponse.setHeaders(response, {
      "cache-control": response.headers["cache-control"] ?? "no-store",
      [correlationIdHeader]: correlationId,
      "x-content-type-options": "nosniff",
      ...(response.status === 401 ? { "www-authenticate": "Bearer" } : {}),
      ...(response.status === 503 ? { "retry-after": response.headers["retry-after"] ?? "1" } : {})
    })
  })
})

/** Makes the promises of every answer for the routes it is provided to, and for no others on the same router. */
export const layerEveryRequest = HttpRouter.middleware(everyRequest).layer

const isRouteNotFound = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

/** Answers whatever no route takes with a 404 problem: for a router that is all ours, not for someone else's. */
export const layerNoSuchPath = HttpRouter.middleware(
  Effect.map(everyRequest, (answer) => {
    const noSuchPath = answer(Effect.suspend(() => HttpServerRespondable.toResponse(new NoSuchPath())))
    return (routes: Answer) =>
      Effect.catch(routes, (error) => (isRouteNotFound(error) ? noSuchPath : Effect.fail(error)))
  }),
  { global: true }
)
