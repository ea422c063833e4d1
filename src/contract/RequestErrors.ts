import { Effect, Schema } from "effect"

const message = (text: string) => Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(text)))

/** One thing wrong with a request: `path` is where, as the client wrote it, inside the part `in`. */
export const RequestIssue = Schema.Struct({
  in: Schema.Literals(["body", "query", "path", "header"]),
  path: Schema.Array(Schema.Union([Schema.String, Schema.Int])),
  message: Schema.String
}).annotate({ identifier: "RequestIssue" })
export type RequestIssue = typeof RequestIssue.Type

/** The request breaks the contract; `errors` has every issue that there is room for, not only the first. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  message: Schema.String,
  errors: Schema.Array(RequestIssue)
}) {}

/** The request carries no key that the server knows; the message is the same for a missing and for a wrong key. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  message: message("Send the secret of a key that this server knows, as Authorization: Bearer <secret>.")
}) {}

/** The request is not allowed, such as with a key of another role. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", { message: Schema.String }) {}

/** Nothing is served at this path. */
export class NoSuchPath extends Schema.TaggedError<NoSuchPath>()("NoSuchPath", {
  message: message("Nothing is served at this path; see /openapi.json.")
}) {}

/** The path exists, the method does not; the header `Allow` names the methods that do. */
export class MethodNotAllowed extends Schema.TaggedError<MethodNotAllowed>()("MethodNotAllowed", {
  message: Schema.String
}) {}

/** The request's `Accept` excludes every media type of the response. */
export class NotAcceptable extends Schema.TaggedError<NotAcceptable>()("NotAcceptable", {
  message: Schema.String
}) {}

/** The body is larger than the server accepts. */
export class BodyTooLarge extends Schema.TaggedError<BodyTooLarge>()("BodyTooLarge", {
  message: Schema.String,
  maxBytes: Schema.Int
}) {}

/** The body is not JSON in UTF-8. */
export class UnsupportedMediaType extends Schema.TaggedError<UnsupportedMediaType>()("UnsupportedMediaType", {
  message: Schema.String
}) {}

/** The bodies of the requests in progress use all the memory reserved for them; nothing of this call was stored. */
export class BodyBudgetExhausted extends Schema.TaggedError<BodyBudgetExhausted>()("BodyBudgetExhausted", {
  message: Schema.String,
  maxBytes: Schema.Int,
  retryAfterSeconds: Schema.Int
}) {}

/** The process is not ready for requests, or the request exceeded the time limit. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  message: Schema.String
}) {}

/** A fault of the server. The cause is only in its log, under the correlation id of the response. */
export class InternalFault extends Schema.TaggedError<InternalFault>()("InternalFault", {
  message: message("The cause is in our log, under the correlation id of this answer.")
}) {}
