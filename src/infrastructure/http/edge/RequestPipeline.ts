import { Cause, Context, Effect, References, type Types } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { makeTimeLimit } from "../../../concurrency/TimeLimit.ts"
import { InternalFault, NoSuchPath, Unavailable } from "../../../contract/RequestErrors.ts"
import { authorize } from "./Authorization.ts"
import { ApiKeys, isOpen, type Role } from "./Caller.ts"
import { negotiate } from "./ContentNegotiation.ts"
import { CurrentRequest, logAnnotations, makeIdentify, type RequestIdentity } from "./CurrentRequest.ts"
import { checkHost, checkOrigin, LoopbackNamesOnly } from "./HostAndOrigin.ts"
import { problemResponse } from "./ProblemResponse.ts"
import { undecodable } from "./RequestDecoding.ts"
import { checkHead } from "./RequestHead.ts"
import { RequestTimeout } from "./RequestLimits.ts"
import { addHeaders, CorsOrigins } from "./ResponseHeaders.ts"

type Response = HttpServerResponse.HttpServerResponse

type Request = HttpServerRequest.HttpServerRequest

/** Runs a handler as the last step of a request, and turns its failures into responses. */
export type Pipeline = <E, R>(
  handle: (request: Request, identity: RequestIdentity) => Effect.Effect<Response, E, R>
) => Effect.Effect<Response, never, R>

/**
 * A handler that finds the identity of its request in its context, and whose log lines are annotated with
 * that identity.
 */
export const inRequestContext =
  <E, R>(handler: Effect.Effect<Response, E, R>) =>
  (request: Request, identity: RequestIdentity): Effect.Effect<Response, E, R> =>
    Effect.updateContext(handler, (context: Context.Context<R>) =>
      context.pipe(
        Context.add(CurrentRequest, identity),
        Context.add(References.CurrentLogAnnotations, logAnnotations(request, identity))
      )
    )

/** What a route requires before its handler runs. */
export interface RouteRules {
  /** The role that a caller needs; null if every caller is allowed. */
  readonly role: Role | null
  /** The media types of its successful response; none if it has no body. */
  readonly mediaTypes: () => ReadonlyArray<string>
}

/** The rules of a route that is not an endpoint of the API. */
export const forEveryone: RouteRules = { role: null, mediaTypes: () => [] }

// After a timeout the connection is not reused, because its request may not have arrived completely.
const timedOut = Effect.logWarning("A request timed out").pipe(
  Effect.as(
    problemResponse(
      new Unavailable({
        message:
          "The request took longer than the server allows. It is unknown whether it had an effect: check before you repeat it."
      })
    )
  ),
  Effect.map(HttpServerResponse.setHeader("connection", "close"))
)

/**
 * The problem for a failure that a handler did not turn into a response. A disconnect or a shutdown stays an
 * interruption.
 */
const toProblem = <E>(cause: Cause.Cause<E>) => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
  const refused = undecodable(cause)
  if (refused !== null) return Effect.succeed(problemResponse(refused))
  return Effect.as(Effect.logError("A request failed", cause), problemResponse(new InternalFault()))
}

/**
 * The steps of every request, in order. The first refusal is the response. A step added here applies to every route.
 * The handler must be the last step of an uninterruptible fiber (see `TimeLimit`).
 */
export const makeRequestPipeline = Effect.gen(function* () {
  const keys = yield* ApiKeys
  const open = isOpen(keys)
  const loopbackNamesOnly = open && (yield* LoopbackNamesOnly)
  const corsOrigins = yield* CorsOrigins
  const identify = makeIdentify(keys)
  const withTimeLimit = yield* makeTimeLimit(yield* RequestTimeout)

  return ({ mediaTypes, role }: RouteRules): Pipeline =>
    <E, R>(handle: (request: Request, identity: RequestIdentity) => Effect.Effect<Response, E, R>) =>
      Effect.withFiber<Response, never, R>((fiber) => {
        const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
        const { issues, ...identity } = identify(request)
        const refusal =
          checkHead(request, issues) ??
          checkHost(request, loopbackNamesOnly) ??
          checkOrigin(request, corsOrigins) ??
          authorize(role, open, identity.caller) ??
          negotiate(mediaTypes, request)
        const logged = <A, E2, R2>(effect: Effect.Effect<A, E2, R2>) =>
          Effect.suspend(() => Effect.annotateLogs(effect, logAnnotations(request, identity)))
        const response =
          refusal === null
            ? withTimeLimit(
                Effect.suspend(() => handle(request, identity)),
                logged(timedOut)
              )
            : Effect.succeed(problemResponse(refusal))
        return Effect.map(
          Effect.catchCause(response, (cause) => logged(toProblem(cause))),
          addHeaders(request, identity.correlationId, corsOrigins)
        )
      })
})

const isRouteNotFound = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

/**
 * Sends a 404 problem if no route matches the request. This affects the whole router, so the router must have
 * only the routes of this API.
 */
export const layerNoSuchPath = HttpRouter.middleware(
  Effect.map(makeRequestPipeline, (pipeline) => {
    const noSuchPath = pipeline(forEveryone)(() => Effect.sync(() => problemResponse(new NoSuchPath())))
    return (routes: Effect.Effect<Response, Types.unhandled>) =>
      Effect.catch(routes, (error) => (isRouteNotFound(error) ? noSuchPath : Effect.fail(error)))
  }),
  { global: true }
)
