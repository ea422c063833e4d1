import { Effect } from "effect"
import { HttpApiMiddleware } from "effect/http-api"
import { RequestDecoding } from "../../../contract/Middleware.ts"
import type { RequestIssue } from "../../../contract/RequestErrors.ts"
import { invalidRequest, requestIssues } from "../body/RequestIssues.ts"

const parts = {
  Params: "path",
  Query: "query",
  Headers: "header",
  Payload: "body"
} as const satisfies Record<string, RequestIssue["in"]>

/** Answers a path, query or header that breaks the contract with 400 and every issue. */
export const layerRequestDecoding = HttpApiMiddleware.layerSchemaErrorTransform(RequestDecoding, (error) =>
  // A response of ours that does not fit the contract is our fault, not the client's.
  error.kind === "Body" || error.kind === "ResponseHeaders"
    ? Effect.die(error.cause)
    : Effect.fail(invalidRequest(requestIssues(parts[error.kind], error.cause)))
)
