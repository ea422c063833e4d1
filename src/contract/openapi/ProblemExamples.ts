import { Schema } from "effect"
import * as Orders from "../../domain/OrderErrors.ts"
import { type ProblemError, Problems } from "../Problems.ts"
import * as Requests from "../RequestErrors.ts"

/** A problem in the OpenAPI document. */
interface ProblemExample {
  /** When it occurs, and what the client can do. */
  readonly description: string
  /** The problem as JSON. */
  readonly value: unknown
}

// Encoded with `Problems`, like the responses, so that each example is a possible response.
const encode = Schema.encodeSync(Schema.Union(Object.values(Problems)))

const example = (error: ProblemError, description: string): ProblemExample => ({
  description,
  value: encode(error)
})

const orderId = "01a20586-1e1c-764a-aee9-11cfc7017fe9"

const examples: Readonly<Record<keyof typeof Problems, ProblemExample>> = {
  InvalidRequest: example(
    new Requests.InvalidRequest({
      message: "priority (body): Expected a whole number from 0 to 9, got 12.",
      errors: [{ in: "body", path: ["priority"], message: "Expected a whole number from 0 to 9, got 12" }]
    }),
    "The request is invalid; `errors` has every issue with its path. Repeating the same request does not help."
  ),
  Unauthorized: example(
    new Requests.Unauthorized(),
    "The request has no key, or an unknown one. `WWW-Authenticate` names the scheme to use."
  ),
  Forbidden: example(
    new Requests.Forbidden({
      message: "This endpoint requires the role operator; the key has the role client."
    }),
    "The key does not have the required role, or the request is not allowed for another reason."
  ),
  OrderNotFound: example(new Orders.OrderNotFound({ orderId }), "There is no order with this id."),
  FailureGroupNotFound: example(
    new Orders.FailureGroupNotFound({ fingerprint: "592bc8cd6f0b73e3" }),
    "There is no failure group with this fingerprint."
  ),
  GroupNotFound: example(new Orders.GroupNotFound({ group: "acme" }), "No limits are set for this group."),
  NoSuchPath: example(new Requests.NoSuchPath(), "Nothing is served at the path."),
  MethodNotAllowed: example(
    new Requests.MethodNotAllowed({ message: "Allowed methods: GET, HEAD, OPTIONS, POST." }),
    "The path does not support the method; `Allow` lists the methods it supports. The status is 405."
  ),
  NotAcceptable: example(
    new Requests.NotAcceptable({ message: "The response is application/json." }),
    "The request's `Accept` excludes every media type of the response. Nothing was done."
  ),
  OrderNotInDeadLetterQueue: example(
    new Orders.OrderNotInDeadLetterQueue({ orderId }),
    "The order is not in the dead letter queue: it did not fail, or was reprocessed or discarded."
  ),
  OrderVersionMismatch: example(
    new Orders.OrderVersionMismatch({ orderId }),
    "The order has changed since the version in `If-Match`. Nothing was done; read it again."
  ),
  OrderStateConflict: example(
    new Orders.OrderStateConflict({
      orderId,
      orderStatus: "PROCESSED",
      message: "Only an order that is PENDING or PROCESSING can be cancelled; this one is PROCESSED."
    }),
    "The order is in a state that does not allow the call. Nothing was done."
  ),
  BodyTooLarge: example(
    new Requests.BodyTooLarge({
      message: "The body is larger than the limit of 65536 bytes.",
      maxBytes: 65_536
    }),
    "The body is larger than the server accepts."
  ),
  UnsupportedMediaType: example(
    new Requests.UnsupportedMediaType({ message: "Send application/json in UTF-8, or no body." }),
    "The body is not JSON in UTF-8."
  ),
  IdempotencyMismatch: example(
    new Orders.IdempotencyMismatch(),
    "The `Idempotency-Key` was used before with another request. Nothing was stored."
  ),
  Overloaded: example(
    new Orders.Overloaded({
      message: "More than 1000000 due orders are waiting; nothing was stored.",
      retryAfterSeconds: 42
    }),
    "Too many orders are waiting. Nothing was stored; `Retry-After` is computed from the rate at which orders are processed."
  ),
  GroupOverloaded: example(
    new Orders.GroupOverloaded({
      group: "acme",
      message: "The group acme has more than its 1000 pending orders; this order was not stored.",
      retryAfterSeconds: 5
    }),
    "The group of the order has more PENDING orders than its `maxPending`. Other groups are not affected."
  ),
  BodyBudgetExhausted: example(
    new Requests.BodyBudgetExhausted({
      message:
        "The bodies of the requests in progress use all the memory reserved for them; nothing was stored.",
      maxBytes: 33_554_432,
      retryAfterSeconds: 1
    }),
    "The requests in progress use all the memory for bodies. Nothing was stored; the same call may be repeated."
  ),
  TooManyWatched: example(
    new Orders.TooManyWatched({ max: 1000 }),
    "The process, or the caller, has its maximum number of streams open. Try again when another stream has ended."
  ),
  TextNotStorable: example(
    new Orders.TextNotStorable(),
    "The order has a character that the encoding of the database cannot represent. Nothing was stored."
  ),
  OrdersUnavailable: example(
    new Orders.OrdersUnavailable(),
    "The database does not respond at the moment. No accepted order is lost; the same call may be repeated."
  ),
  Unavailable: example(
    new Requests.Unavailable({ message: "The process is shutting down." }),
    "The process is not ready for requests, or the request exceeded the time limit."
  ),
  InternalFault: example(
    new Requests.InternalFault(),
    "A fault of the server. Its cause is in the server's log, under the correlation id of the response."
  )
}

/** An example of every problem, by the name of its schema. */
export const problemExamples: Readonly<Record<string, ProblemExample>> = examples
