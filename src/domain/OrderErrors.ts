import { Effect, Schema } from "effect"
import { HttpApiError } from "effect/http-api"

// RFC 9457 asks for a `detail` that helps; each problem has one, and whoever raises it may say it better.
const detail = (text: string) => Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(text)))

/** There is no order with this id. */
export class OrderNotFound extends HttpApiError.Problem<OrderNotFound>()(
  "OrderNotFound",
  { type: "urn:order-platform:not-found", status: 404, title: "There is no such order" },
  { orderId: Schema.String, detail: detail("No order has this id.") }
) {}

/** The order exists, but is not in the dead letter queue. */
export class OrderNotInDeadLetterQueue extends HttpApiError.Problem<OrderNotInDeadLetterQueue>()(
  "OrderNotInDeadLetterQueue",
  { type: "urn:order-platform:not-in-dlq", status: 409, title: "The order is not in the dead letter queue" },
  {
    orderId: Schema.String,
    detail: detail(
      "Only an order that is FAILED, and was neither reprocessed nor discarded since, is in the dead letter queue."
    )
  }
) {}

/** The order is not in the version that the caller named. */
export class OrderVersionMismatch extends HttpApiError.Problem<OrderVersionMismatch>()(
  "OrderVersionMismatch",
  { type: "urn:order-platform:version-mismatch", status: 412, title: "The order has another version" },
  { orderId: Schema.String, detail: detail("The order has changed since the version that If-Match names.") }
) {}

/** The store of orders is away for the moment; nothing is lost, and the same call may be made again. */
export class OrdersUnavailable extends HttpApiError.Problem<OrdersUnavailable>()(
  "OrdersUnavailable",
  {
    type: "urn:order-platform:unavailable",
    status: 503,
    title: "Orders cannot be stored or read at the moment"
  },
  { detail: detail("The store of orders does not answer. No accepted order is lost; try again later.") }
) {}

/** The key was used before, by the same caller for the same call, with another request. */
export class IdempotencyMismatch extends HttpApiError.Problem<IdempotencyMismatch>()(
  "IdempotencyMismatch",
  {
    type: "urn:order-platform:idempotency-mismatch",
    status: 422,
    title: "The idempotency key belongs to another request"
  },
  {
    detail: detail(
      "This Idempotency-Key was sent before with another body. Repeat that request as it was, or take a new key."
    )
  }
) {}

/** More waits than is taken; nothing was stored. The same call may succeed after `retryAfterSeconds`. */
export class Overloaded extends HttpApiError.Problem<Overloaded>()(
  "Overloaded",
  { type: "urn:order-platform:overloaded", status: 503, title: "Too many orders are waiting" },
  { detail: Schema.String, retryAfterSeconds: Schema.Int }
) {}

/** The process watches as many orders as it may, in all or for one caller; one that ends makes room. */
export class TooManyWatched extends HttpApiError.Problem<TooManyWatched>()(
  "TooManyWatched",
  { type: "urn:order-platform:overloaded", status: 503, title: "Too many streams are open" },
  {
    max: Schema.Int,
    detail: detail(
      "This process has as many streams of events open as it may. Try again when others have ended."
    )
  }
) {}
