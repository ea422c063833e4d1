import { Context, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { correlationIdHeader, isCorrelationId } from "../../../contract/CorrelationId.ts"
import type { RequestIssue } from "../../../contract/RequestErrors.ts"
import type { Operator } from "../../../domain/Audit.ts"
import { type ApiKeys, type Caller, makeFindCaller } from "./Caller.ts"
import { headerIssue, loggedPath } from "./RequestHead.ts"

/**
 * The sender of a request, and its correlation id, which is stored with a submitted order and written in
 * every log line about the request.
 */
export interface RequestIdentity {
  /** None if the request has no valid key, or the server has no keys. */
  readonly caller: Option.Option<Caller>
  readonly correlationId: string
}

/** The identity of the request that a handler runs for; null outside a request. */
export const CurrentRequest = Context.Reference<RequestIdentity | null>(
  "order-platform/infrastructure/http/edge/CurrentRequest",
  { defaultValue: () => null }
)

/** The name of the caller; null if there is none. */
export const callerName = (identity: RequestIdentity | null): string | null =>
  identity === null || Option.isNone(identity.caller) ? null : identity.caller.value.name

/** Who asked, for the audit. */
export const operatorOf = (identity: RequestIdentity | null): Operator => ({
  by: callerName(identity),
  correlationId: identity === null ? null : identity.correlationId
})

/** Reads the caller and the correlation id. A request with an invalid correlation id gets a new one, and an issue. */
export const makeIdentify = (keys: typeof ApiKeys.Service) => {
  const findCaller = makeFindCaller(keys)
  const problemOf = (correlationId: string): string | null => {
    if (!isCorrelationId(correlationId))
      return "Expected 1 to 128 printable ASCII characters, not only spaces"
    return Option.isSome(findCaller(`Bearer ${correlationId}`))
      ? "Expected no key here, because this header is logged"
      : null
  }

  return (
    request: HttpServerRequest.HttpServerRequest
  ): RequestIdentity & { readonly issues: ReadonlyArray<RequestIssue> } => {
    const { authorization, [correlationIdHeader]: given } = request.headers
    const problem = given === undefined ? null : problemOf(given)
    return {
      caller: findCaller(authorization),
      correlationId: given === undefined || problem !== null ? globalThis.crypto.randomUUID() : given,
      issues: problem === null ? [] : [headerIssue("X-Correlation-Id", problem)]
    }
  }
}

/** The annotations of every log line about the request. */
export const logAnnotations = (
  request: HttpServerRequest.HttpServerRequest,
  { caller, correlationId }: RequestIdentity
): Readonly<Record<string, string>> => {
  const annotations = { correlationId, method: request.method, path: loggedPath(request.url) }
  return Option.isSome(caller) ? { ...annotations, caller: caller.value.name } : annotations
}
