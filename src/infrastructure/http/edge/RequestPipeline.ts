import { Cause, Context, Effect, Option, type Types } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { makeTimeLimit } from "../../../concurrency/TimeLimit.ts"
import { corsHeaders, CorsOrigins, protectiveHeaders } from "./ResponseHeaders.ts"
import { ApiKeys, callerBy, type Caller, CurrentCaller } from "./Caller.ts"
import { correlationIdHeader } from "../../../contract/CorrelationId.ts"
import { CurrentCorrelationId } from "./CurrentCorrelationId.ts"
import { InternalFault, NoSuchPath, type RequestIssue, Unavailable } from "../../../contract/RequestErrors.ts"
import { problemResponse } from "./ProblemResponse.ts"
import { invalidRequest } from "../body/RequestIssues.ts"
import { headIssues, loggedPath } from "./RequestChecks.ts"
import { RequestTimeout } from "./RequestLimits.ts"

// Longer than 150 lines because the two ways to answer, with a fiber for the time limit and without, are compared.

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse
type Answer = Effect.Effect<Response, Types.unhandled>

// Its body may still be on the way, and nobody reads on: the connection is of no more use.
const outOfTime = Effect.logWarning("A request ran out of time").pipe(
  Effect.as(
    problemResponse(
      new Unavailable({
        message:
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
    : Effect.logError("A request failed", cause).pipe(Effect.as(problemResponse(new InternalFault())))

/** Who asks, and what ties everything about the request together. */
export interface Asked {
  readonly caller: Option.Option<Caller>
  readonly correlationId: string
}

/**
 * What holds for every answer, whatever becomes of the request: a correlation id (taken or made), a body that
 * is a problem if it is an error, who sent it, an end in time, `Retry-After` with every 503, `WWW-Authenticate` with every
 * 401, headers that keep caches, sniffers and foreign pages away, and those that let the pages of origins set come in.
 */
export const makeEveryRequest = Effect.gen(function* () {
  const { lastWithin, within } = yield* makeTimeLimit(yield* RequestTimeout)
  const callerOf = callerBy(yield* ApiKeys)
  const isKey = (text: string) => Option.isSome(callerOf(`Bearer ${text}`))
  const corsOrigins = yield* CorsOrigins

  const look = (request: Request): Asked & { readonly issues: ReadonlyArray<RequestIssue> } => {
    const issues = headIssues(request, isKey)
    const given = request.headers[correlationIdHeader]
    const refused = issues.some(({ in: part, path }) => part === "header" && path[0] === "X-Correlation-Id")
    return {
      issues,
      correlationId: given !== undefined && !refused ? given : globalThis.crypto.randomUUID(),
      caller: callerOf(request.headers["authorization"])
    }
  }

  /** What every line that is logged about the request says of it. */
  const annotated = (request: Request, { caller, correlationId }: Asked) =>
    Effect.annotateLogs({
      correlationId,
      method: request.method,
      path: loggedPath(request.url),
      ...(Option.isSome(caller) ? { caller: caller.value.name } : {})
    })

  const withHeaders =
    (request: Request, { correlationId }: Asked) =>
    (response: Response) => {
      const headers: Record<string, string> = { ...protectiveHeaders, [correlationIdHeader]: correlationId }
      const {
        "cache-control": cached,
        "content-security-policy": policy,
        "retry-after": later
      } = response.headers
      if (cached !== undefined) headers["cache-control"] = cached
      if (policy !== undefined) headers["content-security-policy"] = policy
      if (response.status === 401) headers["www-authenticate"] = "Bearer"
      if (response.status === 503 && later === undefined) headers["retry-after"] = "1"
      if (isUnread(request)) headers["connection"] = "close"
      return HttpServerResponse.setHeaders(
        response,
        corsOrigins.length === 0 ? headers : { ...headers, ...corsHeaders(corsOrigins, request, response) }
      )
    }

  const refusalOr = (asked: ReturnType<typeof look>, handler: Answer): Answer =>
    asked.issues.length === 0 ? handler : Effect.sync(() => problemResponse(invalidRequest(asked.issues)))

  return {
    /** An answer with all of it; the handler finds who asks in its context. */
    answer: (handler: Answer) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const asked = look(request)
        return within(refusalOr(asked, handler), outOfTime).pipe(
          Effect.catchCause(fault),
          Effect.map(withHeaders(request, asked)),
          annotated(request, asked),
          Effect.updateContext((context: Context.Context<never>) =>
            context.pipe(
              Context.add(CurrentCorrelationId, Option.some(asked.correlationId)),
              Context.add(CurrentCaller, asked.caller)
            )
          )
        )
      }),
    /**
     * The same for a route that is uninterruptible, and so needs no fiber for its time limit. The handler is told who asks
     * instead of finding it in its context, and what it logs itself is not annotated (docs/adr/0007).
     */
    answerAlone: (handler: (request: Request, asked: Asked) => Answer) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const asked = look(request)
        const handled = Effect.suspend(() => handler(request, asked))
        return Effect.map(
          Effect.catchCause(
            lastWithin(
              refusalOr(asked, handled),
              Effect.suspend(() => annotated(request, asked)(outOfTime))
            ),
            // What is left of it is an interruption, which has no error.
            (cause) => annotated(request, asked)(fault(cause as Cause.Cause<never>))
          ),
          withHeaders(request, asked)
        )
      })
  }
})

/** Makes the promises of every answer for the routes it is provided to, and for no others on the same router. */
export const layerEveryRequest = HttpRouter.middleware(
  Effect.map(makeEveryRequest, ({ answer }) => answer)
).layer

const isRouteNotFound = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

/** Answers whatever no route takes with a 404 problem: for a router that is all ours, not for someone else's. */
export const layerNoSuchPath = HttpRouter.middleware(
  Effect.map(makeEveryRequest, ({ answer }) => {
    const noSuchPath = answer(Effect.sync(() => problemResponse(new NoSuchPath())))
    return (routes: Answer) =>
      Effect.catch(routes, (error) => (isRouteNotFound(error) ? noSuchPath : Effect.fail(error)))
  }),
  { global: true }
)
