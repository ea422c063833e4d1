import { Schema, SchemaTransformation } from "effect"
import { ProblemDetails } from "effect/http"
import { HttpApiSchema } from "effect/http-api"
import * as Orders from "../domain/OrderErrors.ts"
import * as Requests from "./RequestErrors.ts"

/** The media type of every error. */
export const problemMediaType = ProblemDetails.contentType

/** The members that every error has as JSON (RFC 9457). An error may have others, such as `orderId`. */
export interface Problem {
  readonly type: `urn:order-platform:${string}`
  readonly title: string
  readonly status: number
  readonly detail: string
}

/** A class of errors with a `message` for people. */
export interface ErrorClass<E, I> extends Schema.Codec<E, I> {
  readonly fields: Readonly<Record<string, Schema.Codec<unknown, unknown>>>
  readonly identifier: string
}

/**
 * The schema of an error in responses. Its decoded form is the error that handlers and clients fail with, its encoded
 * form is the problem. The `detail` is the message of the error, unless `httpDetail` replaces it.
 */
const problem = <E, I extends { readonly _tag: string; readonly message: string }>(
  error: ErrorClass<E, I>,
  status: number,
  type: string,
  title: string,
  httpDetail?: string
) => {
  const urn = `urn:order-platform:${type}` as const
  const { _tag: _, message: __, ...members } = error.fields
  return Schema.Struct({
    type: Schema.tag(urn),
    title: Schema.String,
    status: Schema.Literal(status),
    detail: Schema.String,
    ...members
  })
    .annotate({ identifier: error.identifier, description: title })
    .pipe(
      Schema.decodeTo(
        error,
        SchemaTransformation.transform({
          decode: ({ detail, status: _status, title: _title, type: _type, ...members }) =>
            // The compiler does not know that these members are everything that the class needs.
            ({ ...members, _tag: error.identifier, message: detail }) as unknown as I,
          encode: ({ _tag: _name, message, ...members }) => ({
            ...members,
            type: urn,
            title,
            status,
            detail: httpDetail ?? message
          })
        })
      ),
      HttpApiSchema.status(status),
      HttpApiSchema.asJson({ contentType: problemMediaType })
    )
}

/**
 * Every error of a response, with its status, problem type and title. If an error is about an HTTP header but
 * its message does not name that header, a separate `detail` is given here, which names the header.
 */
export const Problems = {
  InvalidRequest: problem(Requests.InvalidRequest, 400, "invalid-request", "The request is not valid"),
  Unauthorized: problem(Requests.Unauthorized, 401, "unauthorized", "A valid key is required"),
  Forbidden: problem(Requests.Forbidden, 403, "forbidden", "The request is not allowed"),
  OrderNotFound: problem(Orders.OrderNotFound, 404, "not-found", "There is no such order"),
  FailureGroupNotFound: problem(
    Orders.FailureGroupNotFound,
    404,
    "not-found",
    "There is no such failure group"
  ),
  GroupNotFound: problem(Orders.GroupNotFound, 404, "not-found", "There are no limits of this group"),
  NoSuchPath: problem(Requests.NoSuchPath, 404, "not-found", "There is no such path"),
  MethodNotAllowed: problem(
    Requests.MethodNotAllowed,
    405,
    "method-not-allowed",
    "The method is not allowed here"
  ),
  NotAcceptable: problem(
    Requests.NotAcceptable,
    406,
    "not-acceptable",
    "No media type of the response is acceptable"
  ),
  OrderNotInDeadLetterQueue: problem(
    Orders.OrderNotInDeadLetterQueue,
    409,
    "not-in-dlq",
    "The order is not in the dead letter queue"
  ),
  OrderStateConflict: problem(
    Orders.OrderStateConflict,
    409,
    "conflict",
    "The state of the order does not allow this"
  ),
  OrderVersionMismatch: problem(
    Orders.OrderVersionMismatch,
    412,
    "version-mismatch",
    "The order has a different version",
    "The order has changed since the version that If-Match names."
  ),
  BodyTooLarge: problem(Requests.BodyTooLarge, 413, "too-large", "The body is too large"),
  UnsupportedMediaType: problem(
    Requests.UnsupportedMediaType,
    415,
    "unsupported-media-type",
    "The media type is not supported"
  ),
  TextNotStorable: problem(
    Orders.TextNotStorable,
    400,
    "invalid-request",
    "The database cannot store a character of the order"
  ),
  IdempotencyMismatch: problem(
    Orders.IdempotencyMismatch,
    422,
    "idempotency-mismatch",
    "The idempotency key belongs to a different request",
    "This Idempotency-Key was sent before with a different body. Repeat that request unchanged, or use a new key."
  ),
  GroupOverloaded: problem(
    Orders.GroupOverloaded,
    429,
    "overloaded",
    "Too many orders of the group are waiting"
  ),
  InternalFault: problem(Requests.InternalFault, 500, "internal", "Something went wrong on our side"),
  BodyBudgetExhausted: problem(
    Requests.BodyBudgetExhausted,
    503,
    "overloaded",
    "Too many request bodies are in memory"
  ),
  Overloaded: problem(Orders.Overloaded, 503, "overloaded", "Too many orders are waiting"),
  TooManyWatched: problem(Orders.TooManyWatched, 503, "overloaded", "Too many streams are open"),
  OrdersUnavailable: problem(
    Orders.OrdersUnavailable,
    503,
    "unavailable",
    "Orders cannot be stored or read at the moment"
  ),
  Unavailable: problem(Requests.Unavailable, 503, "unavailable", "The service is unavailable at the moment")
}

/** The errors that every endpoint with a JSON body has. */
export const bodyProblems = [
  Problems.InvalidRequest,
  Problems.BodyTooLarge,
  Problems.UnsupportedMediaType
] as const

/** Any error of `Problems`. */
export type ProblemError = (typeof Problems)[keyof typeof Problems]["Type"]

/** The header `Retry-After` of an error with `retryAfterSeconds`. */
export const retryAfterOf = (error: ProblemError): { readonly "retry-after"?: number } =>
  "retryAfterSeconds" in error ? { "retry-after": error.retryAfterSeconds } : {}

const retryable =
  (status: number) =>
  <const E extends ReadonlyArray<ProblemError>>(
    ...problems: { readonly [K in keyof E]: Schema.Codec<E[K], Problem> }
  ) => {
    const body: Schema.Codec<E[number], Problem> = Schema.Union(problems).pipe(
      HttpApiSchema.status(status),
      HttpApiSchema.asJson({ contentType: problemMediaType })
    )
    const headers = { "retry-after": Schema.optionalKey(Schema.Int) }
    return Schema.toType(body).pipe(
      HttpApiSchema.encodeToWithHeaders<Schema.toType<typeof body>, typeof body, typeof headers>(
        { body, headers },
        { decode: ({ body }) => body, encode: (error) => ({ body: error, headers: retryAfterOf(error) }) }
      )
    )
  }

/** The 503 response of an endpoint: one of these errors, with `Retry-After` if the error has it. */
export const temporary = retryable(503)

/** The 429 response of an endpoint: one of these errors, with `Retry-After`. */
export const tooMany = retryable(429)
