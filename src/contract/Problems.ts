import { Effect, Schema } from "effect"
import { HttpApiError } from "effect/http-api"

const detail = (text: string) => Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(text)))

/** One thing wrong with a request: `path` is where, as the client wrote it, inside the part `in`. */
export const RequestIssue = Schema.Struct({
  in: Schema.Literals(["body", "query", "path", "header"]),
  path: Schema.Array(Schema.Union([Schema.String, Schema.Int])),
  message: Schema.String
}).annotate({ identifier: "RequestIssue" })
export type RequestIssue = typeof RequestIssue.Type

/** 400: the request breaks the contract; `errors` has every issue that there is room for, not the first only. */
export class InvalidRequest extends HttpApiError.Problem<InvalidRequest>()(
  "InvalidRequest",
  { type: "urn:order-platform:invalid-request", status: 400, title: "The request is not valid" },
  { detail: detail("See errors."), errors: Schema.Array(RequestIssue) }
) {}

/** 401: the request carries no key that is known here; the same words whether there was none or a wrong one. */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()(
  "Unauthorized",
  { type: "urn:order-platform:unauthorized", status: 401, title: "A key is needed" },
  { detail: detail("Send the secret of a key that this server knows, as Authorization: Bearer <secret>.") }
) {}

/** 403: the key is known, and its role is not the one needed. */
export class Forbidden extends HttpApiError.Problem<Forbidden>()(
  "Forbidden",
  { type: "urn:order-platform:forbidden", status: 403, title: "The key does not have the role needed" },
  { detail: Schema.String }
) {}

/** 404: nothing is served at this path. */
export class NoSuchPath extends HttpApiError.Problem<NoSuchPath>()(
  "NoSuchPath",
  { type: "urn:order-platform:not-found", status: 404, title: "There is nothing here" },
  { detail: detail("Nothing is served at this path; see /openapi.json.") }
) {}

/** 405: the path exists, the method does not; `Allow` names those that do. */
export class MethodNotAllowed extends HttpApiError.Problem<MethodNotAllowed>()(
  "MethodNotAllowed",
  { type: "urn:order-platform:method-not-allowed", status: 405, title: "The method is not allowed here" },
  { detail: Schema.String }
) {}

/** 413: the body is larger than the server takes. */
export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()(
  "BodyTooLarge",
  { type: "urn:order-platform:too-large", status: 413, title: "The body is too large" },
  { detail: Schema.String, maxBytes: Schema.Int }
) {}

/** 415: the body is not JSON in UTF-8. */
export class UnsupportedMediaType extends HttpApiError.Problem<UnsupportedMediaType>()(
  "UnsupportedMediaType",
  {
    type: "urn:order-platform:unsupported-media-type",
    status: 415,
    title: "The media type is not supported"
  },
  { detail: Schema.String }
) {}

/** 406: the client's `Accept` excludes what the answer would be. */
// It shares 415's type, and only its status tells them apart: the contract's list of types is closed and has none for it,
// every type in it is ours, so `about:blank` is not either, and a 406 is asked for. Of those there are this says most.
export class NotAcceptable extends HttpApiError.Problem<NotAcceptable>()(
  "NotAcceptable",
  {
    type: "urn:order-platform:unsupported-media-type",
    status: 406,
    title: "The answer has no media type that is accepted"
  },
  { detail: Schema.String }
) {}

/** 503: the process is not ready for requests, or ran out of time for this one. */
export class Unavailable extends HttpApiError.Problem<Unavailable>()(
  "Unavailable",
  { type: "urn:order-platform:unavailable", status: 503, title: "The service is unavailable at the moment" },
  { detail: Schema.String }
) {}

/** 500: a fault of ours. It tells nothing of its cause; the log does, under the same correlation id. */
export class InternalFault extends HttpApiError.Problem<InternalFault>()(
  "InternalFault",
  { type: "urn:order-platform:internal", status: 500, title: "Something went wrong on our side" },
  { detail: detail("The cause is in our log, under the correlation id of this answer.") }
) {}
