import { Cause, Context, Effect, Option, References, type Types } from "effect"
import {
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import { makeTimeLimit } from "../../application/TimeLimit.ts"
import { corsHeaders, CorsOrigins, protectiveHeaders } from "./AnswerHeaders.ts"
import { ApiKeys, callerBy, CurrentCaller } from "./Caller.ts"
import { CurrentCorrelationId, correlationIdHeader } from "./CorrelationId.ts"
import { InternalFault, NoSuchPath, Unavailable } from "./Problems.ts"
import { invalidRequest } from "./RequestIssues.ts"
import { headIssues, loggedPath } from "./RequestHead.ts"
import { RequestTimeout } from "./RequestLimits.ts"

type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled>

// Its body may still be on the way, and nobody reads on: the connection is of no more use.
const outOfTime = Effect.logWarning("A request ran out of time").pipe(
  Effect.andThen(
    HttpServerRespondable.toResponse(
      new Unavailable({
        detail:
          "The request took longer than the server allows. Whether it had an effect is not known; see what it was about before repeating it."
      })
    )
  ),
  Effect.map(HttpServerResponse.setHeader("connection", "close"))
)

// Nobody knows how much of a body in chunks is still to come, so nobody waits for its end: the connection is closed, and
// the client told so. Of one that announced its length the server knows whether the rest is worth reading.
const isUnread = ({ headers, source }: HttpServerRequest.HttpServerRequest) =>
  headers["transfer-encoding"] !== undefined && "complete" in source && source.complete === false

// A client that went away, or the server stopping, is no fault: it stays an interruption and is not logged.
const fault = <E>(cause: Cause.Cause<E>) =>
  Cause.hasInterruptsOnly(cause)
    ? Effect.failCause(cause)
    : Effect.logError("A request failed", cause).pipe(
        Effect.andThen(HttpServerRespondable.toResponse(new InternalFault()))
      )

/**
 * What holds for every answer, whatever becomes of the request: a correlation id (taken or made), a body that
 * is a problem if it is an error, who sent it, an end in time, `Retry-After` with every 503, `WWW-Authenticate` with every
 * 401, headers that keep caches, sniffers and foreign pages away, and those that let the pages of origins set come in.
 */
const everyRequest = Effect.gen(function* () {
  const { within } = yield* makeTimeLimit(yield* RequestTimeout)
  const callerOf = callerBy(yield* ApiKeys)
  const isKey = (text: string) => Option.isSome(callerOf(`Bearer ${text}`))
  const corsOrigins = yield* CorsOrigins

  return Effect.fnUntraced(function* (handler: Answer) {
    const request = yield* HttpServerRequest.HttpServerRequest
    const issues = headIssues(request, isKey)
    const given = request.headers[correlationIdHeader]
    const refused = issues.some(({ in: part, path }) => part === "header" && path[0] === "X-Correlation-Id")
    const correlationId = given !== undefined && !refused ? given : globalThis.crypto.randomUUID()
    const caller = callerOf(request.headers["authorization"])
    const answer = issues.length === 0 ? handler : HttpServerRespondable.toResponse(invalidRequest(issues))
    const annotations = {
      correlationId,
      method: request.method,
      path: loggedPath(request.url),
      ...(Option.isSome(caller) ? { caller: caller.value.name } : {})
    }
    const inContext = (context: Context.Context<never>) =>
      context.pipe(
        Context.add(CurrentCorrelationId, Option.some(correlationId)),
        Context.add(CurrentCaller, caller),
        Context.add(References.CurrentLogAnnotations, {
          ...Context.get(context, References.CurrentLogAnnotations),
          ...annotations
        })
      ) as Context.Context<never>
    const response = yield* within(answer, outOfTime).pipe(
      Effect.catchCause(fault),
      Effect.updateContext(inContext)
    )
    return HttpServerResponse.setHeaders(response, {
      ...protectiveHeaders,
      ...(isUnread(request) ? { connection: "close" } : {}),
      ...corsHeaders(corsOrigins, request, response),
      [correlationIdHeader]: correlationId,
      "cache-control": response.headers["cache-control"] ?? protectiveHeaders["cache-control"],
      "content-security-policy":
        response.headers["content-security-policy"] ?? protectiveHeaders["content-security-policy"],
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
