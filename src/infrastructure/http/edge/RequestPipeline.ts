import { Cause, Context, Effect, References, type Types } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { makeTimeLimit } from "../../../concurrency/TimeLimit.ts"
import { InternalFault, NoSuchPath, Unavailable } from "../../../contract/RequestErrors.ts"
import { authorize } from "./Authorization.ts"
import { ApiKeys, isOpen, type Role } from "./Caller.ts"
import { negotiate } from "./ContentNegotiation.ts"
import { CurrentRequest, logAnnotations, makeIdentify } from "./CurrentRequest.ts"
import { checkHost, checkOrigin, LoopbackNamesOnly } from "./HostAndOrigin.ts"
import { problemResponse } from "./ProblemResponse.ts"
import { undecodable } from "./RequestDecoding.ts"
import { checkHead } from "./RequestHead.ts"
import { RequestTimeout } from "./RequestLimits.ts"
import { addHeaders, CorsOrigins } from "./ResponseHeaders.ts"

type Response = HttpServerResponse.HttpServerResponse

/** Runs a handler as the last step of a request, and turns whatever it fails with into a response. */
export type Pipeline = <E, R>(handler: Effect.Effect<Response, E, R>) => Effect.Effect<Response, never, R>

/** What a route requires before its handler runs. */
export interface RouteRules {
  /** The role of its callers; null for everyone. */
  readonly role: Role | null
  /** The media types of its successful response; none if that has no body. */
  readonly mediaTypes: () => ReadonlyArray<string>
}

/** The rules of a route that is no endpoint of an API. */
export const forEveryone: RouteRules = { role: null, mediaTypes: () => [] }

// The rest of the body may still be on its way, and is not read: the connection cannot be used again.
const timedOut = Effect.logWarning("A request timed out").pipe(
  Effect.as(
    problemResponse(
      new Unavailable({
        message:
          "The request took longer than the server allows. Whether it had an effect is not known: check before you repeat it."
      })
    )
  ),
  Effect.map(HttpServerResponse.setHeader("connection", "close"))
)

/** The problem for what a handler did not answer itself. A disconnect or a shutdown stays an interruption. */
const toProblem = <E>(cause: Cause.Cause<E>) => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
  const refused = undecodable(cause)
  if (refused !== null) return Effect.succeed(problemResponse(refused))
  return Effect.as(Effect.logError("A request failed", cause), problemResponse(new InternalFault()))
}

/**
 * The steps of every request, in their order. What one of them refuses, no later one sees. A step that is added here
 * holds for every route. Its handler must be the last thing that an uninterruptible fiber runs (see `TimeLimit`).
 */
export const makeRequestPipeline = Effect.gen(function* () {
  const keys = yield* ApiKeys
  const open = isOpen(keys)
  const loopbackNamesOnly = open && (yield* LoopbackNamesOnly)
  const corsOrigins = yield* CorsOrigins
  const identify = makeIdentify(keys)
  const withTimeLimit = yield* makeTimeLimit(yield* RequestTimeout)

  return ({ mediaTypes, role }: RouteRules): Pipeline =>
    <E, R>(handler: Effect.Effect<Response, E, R>) =>
      Effect.withFiber<Response, never, R>((fiber) => {
        const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
        const { issues, ...identity } = identify(request)
        const refusal =
          checkHead(request, issues) ??
          checkHost(request, loopbackNamesOnly) ??
          checkOrigin(request, corsOrigins) ??
          authorize(role, open, identity.caller) ??
          negotiate(mediaTypes, request)
        const response =
          refusal === null ? withTimeLimit(handler, timedOut) : Effect.succeed(problemResponse(refusal))
        return Effect.map(
          Effect.catchCause(response, toProblem),
          addHeaders(request, identity.correlationId, corsOrigins)
        ).pipe(
          Effect.updateContext((context: Context.Context<R>) =>
            context.pipe(
              Context.add(CurrentRequest, identity),
              Context.add(References.CurrentLogAnnotations, logAnnotations(request, identity))
            )
          )
        )
      })
})

const isRouteNotFound = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

/** Answers what no route takes with a 404 problem: for a router that has our routes only. */
export const layerNoSuchPath = HttpRouter.middleware(
  Effect.map(makeRequestPipeline, (pipeline) => {
    const noSuchPath = pipeline(forEveryone)(Effect.sync(() => problemResponse(new NoSuchPath())))
    return (routes: Effect.Effect<Response, Types.unhandled>) =>
      Effect.catch(routes, (error) => (isRouteNotFound(error) ? noSuchPath : Effect.fail(error)))
  }),
  { global: true }
)
