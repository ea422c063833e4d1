import { Effect, Schema } from "effect"

const message = (text: string) => Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(text)))

/** One fault of a request: `in` is the part of the request, `path` the place in that part as the client wrote it. */
export const RequestIssue = Schema.Struct({
  in: Schema.Literals(["body", "query", "path", "header"]),
  path: Schema.Array(Schema.Union([Schema.String, Schema.Int])),
  message: Schema.String
}).annotate({ identifier: "RequestIssue" })
export type RequestIssue = typeof RequestIssue.Type

/**
 * The request is invalid; `errors` lists every issue, or only the first ones if the whole list would be too
 * large.
 */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  message: Schema.String,
  errors: Schema.Array(RequestIssue)
}) {}

/** The request has no valid key. The message is the same for a missing and for a wrong key. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  message: message("Send the secret of a key of this server as Authorization: Bearer <secret>.")
}) {}

/** The request is not allowed, for example because its key has another role. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", { message: Schema.String }) {}

/** Nothing is served at this path. */
export class NoSuchPath extends Schema.TaggedError<NoSuchPath>()("NoSuchPath", {
  message: message("Nothing is served at this path; see /openapi.json.")
}) {}

/** The path does not support the method; the header `Allow` lists the methods it supports. */
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

/** A fault of the server. Only the server's log has the cause, under the correlation id of the response. */
export class InternalFault extends Schema.TaggedError<InternalFault>()("InternalFault", {
  message: message("The cause is in the server's log, under the correlation id of this response.")
}) {}
