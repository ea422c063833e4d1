import { Effect, Schema } from "effect"
import { OrderStatus } from "./OrderStatus.ts"

// The message is for people: where an error is raised it may be replaced by a more precise one.
const message = (text: string) => Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed(text)))

/** No order has this id. */
export class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", {
  orderId: Schema.String,
  message: message("No order has this id.")
}) {}

/** The order exists, but is not in the dead letter queue. */
export class OrderNotInDeadLetterQueue extends Schema.TaggedError<OrderNotInDeadLetterQueue>()(
  "OrderNotInDeadLetterQueue",
  {
    orderId: Schema.String,
    message: message(
      "Only an order that is FAILED, and was neither reprocessed nor discarded since, is in the dead letter queue."
    )
  }
) {}

/** The order is in a state that does not allow what was asked for. */
export class OrderStateConflict extends Schema.TaggedError<OrderStateConflict>()("OrderStateConflict", {
  orderId: Schema.String,
  orderStatus: OrderStatus,
  message: Schema.String
}) {}

/** The order is not in the version that the caller expects. */
export class OrderVersionMismatch extends Schema.TaggedError<OrderVersionMismatch>()("OrderVersionMismatch", {
  orderId: Schema.String,
  message: message("The order is no longer in the version expected.")
}) {}

/** Orders cannot be stored or read at the moment. Nothing is lost, and the same call may be repeated. */
export class OrdersUnavailable extends Schema.TaggedError<OrdersUnavailable>()("OrdersUnavailable", {
  message: message("The store of orders does not answer. No accepted order is lost; try again later.")
}) {}

/** An order has a character that the store cannot hold; nothing of its call was stored. */
export class TextNotStorable extends Schema.TaggedError<TextNotStorable>()("TextNotStorable", {
  message: message("The order has a character that the database cannot store in its encoding.")
}) {}

/** The same caller used this key before, for the same call with another request. */
export class IdempotencyMismatch extends Schema.TaggedError<IdempotencyMismatch>()("IdempotencyMismatch", {
  message: message("The idempotency key was used before with another request.")
}) {}

/** Too many orders are waiting; nothing was stored. The same call may succeed after `retryAfterSeconds`. */
export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", {
  message: Schema.String,
  retryAfterSeconds: Schema.Int
}) {}

/** The process watches as many orders as it may, in total or for one caller, until another watch ends. */
export class TooManyWatched extends Schema.TaggedError<TooManyWatched>()("TooManyWatched", {
  max: Schema.Int,
  message: message(
    "This process watches as many orders as it may at the same time. Try again when others have ended."
  )
}) {}
