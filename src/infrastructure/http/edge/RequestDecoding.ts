import { Effect } from "effect"
import { HttpApiMiddleware } from "effect/http-api"
import { InvalidRequest, type RequestIssue } from "../../../contract/Problems.ts"
import { invalidRequest, requestIssues } from "../body/RequestIssues.ts"

const parts = {
  Params: "path",
  Query: "query",
  Headers: "header",
  Payload: "body"
} as const satisfies Record<string, RequestIssue["in"]>

/** Answers a path, query or header that breaks the contract with 400 and every issue. */
export class RequestDecoding extends HttpApiMiddleware.Service<RequestDecoding>()(
  "order-platform/infrastructure/http/RequestDecoding",
  { error: InvalidRequest }
) {
  static readonly layer = HttpApiMiddleware.layerSchemaErrorTransform(RequestDecoding, (error) =>
    // An answer of ours that does not fit the contract is a fault of ours, not of the client.
    error.kind === "Body" || error.kind === "ResponseHeaders"
      ? Effect.die(error.cause)
      : Effect.fail(invalidRequest(requestIssues(parts[error.kind], error.cause)))
  )
}
