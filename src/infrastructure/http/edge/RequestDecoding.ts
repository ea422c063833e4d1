import { Cause } from "effect"
import { HttpApiError } from "effect/http-api"
import type { InvalidRequest, RequestIssue } from "../../../contract/RequestErrors.ts"
import { invalidRequest, requestIssues } from "../body/RequestIssues.ts"

const parts = {
  Params: "path",
  Query: "query",
  Headers: "header",
  Payload: "body"
} as const satisfies Record<string, RequestIssue["in"]>

/** The error for an invalid path, query, header or body, with every issue; null for any other cause. */
export const undecodable = <E>(cause: Cause.Cause<E>): InvalidRequest | null => {
  const error = Cause.squash(cause)
  // Errors of the kinds `Body` and `ResponseHeaders` are about the response, so they are faults of the
  // server.
  return HttpApiError.HttpApiSchemaError.is(error) &&
    error.kind !== "Body" &&
    error.kind !== "ResponseHeaders"
    ? invalidRequest(requestIssues(parts[error.kind], error.cause))
    : null
}
