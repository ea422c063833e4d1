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

/** The problem for a path, query or header that does not fit the contract, with every issue; null for another cause. */
export const undecodable = <E>(cause: Cause.Cause<E>): InvalidRequest | null => {
  const error = Cause.squash(cause)
  // What does not fit of a response is our fault, not the client's.
  return HttpApiError.HttpApiSchemaError.is(error) &&
    error.kind !== "Body" &&
    error.kind !== "ResponseHeaders"
    ? invalidRequest(requestIssues(parts[error.kind], error.cause))
    : null
}
