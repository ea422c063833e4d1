import { Schema } from "effect"
import {
  IdempotencyMismatch,
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrdersUnavailable,
  OrderVersionMismatch,
  Overloaded,
  TooManyWatched
} from "../../domain/OrderErrors.ts"
import {
  BodyTooLarge,
  Forbidden,
  InternalFault,
  InvalidRequest,
  MethodNotAllowed,
  NoSuchPath,
  NotAcceptable,
  Unauthorized,
  Unavailable,
  UnsupportedMediaType
} from "../Problems.ts"

/** A problem as the OpenAPI document explains it. */
export interface ProblemExample {
  /** When it comes, and what its client may do. */
  readonly description: string
  /** One as it is sent. */
  readonly value: unknown
}

// Encoded by the class that answers, so that no example can say what no answer does.
const example = <P extends Schema.Codec<unknown, unknown>>(
  problem: P,
  value: P["Type"],
  description: string
): ProblemExample => ({ description, value: Schema.encodeSync(problem)(value) })

const orderId = "01a20586-1e1c-764a-aee9-11cfc7017fe9"

/** Every problem that there is, by the name of its schema. */
export const problemExamples: Readonly<Record<string, ProblemExample>> = {
  InvalidRequest: example(
    InvalidRequest,
    new InvalidRequest({
      detail: "priority (body): Expected a value between 0 and 9, got 12.",
      errors: [{ in: "body", path: ["priority"], message: "Expected a value between 0 and 9, got 12" }]
    }),
    "The request breaks the contract; `errors` has every issue with its path. The same request gets it again."
  ),
  Unauthorized: example(
    Unauthorized,
    new Unauthorized(),
    "There is no key in the request, or none that is known. `WWW-Authenticate` says how to send one."
  ),
  Forbidden: example(
    Forbidden,
    new Forbidden({ detail: "This needs the role operator; the key has the role client." }),
    "The key is known, and its role is not the one needed."
  ),
  OrderNotFound: example(OrderNotFound, new OrderNotFound({ orderId }), "There is no order with this id."),
  NoSuchPath: example(NoSuchPath, new NoSuchPath(), "Nothing is served at the path."),
  MethodNotAllowed: example(
    MethodNotAllowed,
    new MethodNotAllowed({ detail: "Allowed here: GET, HEAD, OPTIONS, POST." }),
    "The path is there and does not have the method; `Allow` names those that it has. Its status is 405."
  ),
  NotAcceptable: example(
    NotAcceptable,
    new NotAcceptable({ detail: "The answer is application/json." }),
    "The request's `Accept` excludes what the answer would be. Nothing was done."
  ),
  OrderNotInDeadLetterQueue: example(
    OrderNotInDeadLetterQueue,
    new OrderNotInDeadLetterQueue({ orderId }),
    "The order is not in the dead letter queue: it did not fail, or somebody reprocessed or discarded it."
  ),
  OrderVersionMismatch: example(
    OrderVersionMismatch,
    new OrderVersionMismatch({ orderId }),
    "The order has changed since the version in `If-Match`. Nothing was done; read it again."
  ),
  BodyTooLarge: example(
    BodyTooLarge,
    new BodyTooLarge({ detail: "The body is larger than the 65536 bytes taken.", maxBytes: 65_536 }),
    "The body is larger than the server takes."
  ),
  UnsupportedMediaType: example(
    UnsupportedMediaType,
    new UnsupportedMediaType({ detail: "Send application/json in UTF-8, or no body." }),
    "The body is not JSON in UTF-8."
  ),
  IdempotencyMismatch: example(
    IdempotencyMismatch,
    new IdempotencyMismatch(),
    "The `Idempotency-Key` came before with another request. Nothing was stored."
  ),
  Overloaded: example(
    Overloaded,
    new Overloaded({
      detail: "More than 1000000 orders are waiting; nothing of this call was stored.",
      retryAfterSeconds: 42
    }),
    "More waits than is taken. Nothing was stored; `Retry-After` is measured by how fast the orders go."
  ),
  TooManyWatched: example(
    TooManyWatched,
    new TooManyWatched({ max: 1000 }),
    "The process has as many streams open as it may, or half of them are the caller's. Try again when others have ended."
  ),
  OrdersUnavailable: example(
    OrdersUnavailable,
    new OrdersUnavailable(),
    "The database does not answer for the moment. No accepted order is lost; the same call may be made again."
  ),
  Unavailable: example(
    Unavailable,
    new Unavailable({ detail: "The process is shutting down." }),
    "The process is not ready for requests, or ran out of time for this one."
  ),
  InternalFault: example(
    InternalFault,
    new InternalFault(),
    "A fault of ours. Its cause is in the server's log, under the correlation id of the answer."
  )
}
