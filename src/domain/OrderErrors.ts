import { Effect, Schema } from "effect"
import { OrderStatus } from "./OrderStatus.ts"

// The default message, for people. The code that raises the error may give a more precise one.
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
    message: message("Only orders that are FAILED and were not discarded are in the dead letter queue.")
  }
) {}

/** The state of the order does not allow the operation. */
export class OrderStateConflict extends Schema.TaggedError<OrderStateConflict>()("OrderStateConflict", {
  orderId: Schema.String,
  orderStatus: OrderStatus,
  message: Schema.String
}) {}

/** The order does not have the version that the caller expects. */
export class OrderVersionMismatch extends Schema.TaggedError<OrderVersionMismatch>()("OrderVersionMismatch", {
  orderId: Schema.String,
  message: message("The order no longer has the expected version.")
}) {}

/** Orders cannot be stored or read at the moment. Nothing is lost, and the same call may be repeated. */
export class OrdersUnavailable extends Schema.TaggedError<OrdersUnavailable>()("OrdersUnavailable", {
  message: message("The order store does not respond. No accepted order is lost; try again later.")
}) {}

/** The order has a character that the encoding of the database cannot represent; nothing of the call was stored. */
export class TextNotStorable extends Schema.TaggedError<TextNotStorable>()("TextNotStorable", {
  message: message("The order has a character that the encoding of the database cannot represent.")
}) {}

/** The same caller has already used this idempotency key for a different request. */
export class IdempotencyMismatch extends Schema.TaggedError<IdempotencyMismatch>()("IdempotencyMismatch", {
  message: message("The idempotency key was used before with a different request.")
}) {}

/** Too many orders are waiting; nothing was stored. The same call may succeed after `retryAfterSeconds`. */
export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", {
  message: Schema.String,
  retryAfterSeconds: Schema.Int
}) {}

/**
 * Too many orders of this group are waiting; no order of the group was stored. The same call may succeed after
 * `retryAfterSeconds`.
 */
export class GroupOverloaded extends Schema.TaggedError<GroupOverloaded>()("GroupOverloaded", {
  group: Schema.String,
  message: Schema.String,
  retryAfterSeconds: Schema.Int
}) {}

/** No failure group has this fingerprint. */
export class FailureGroupNotFound extends Schema.TaggedError<FailureGroupNotFound>()("FailureGroupNotFound", {
  fingerprint: Schema.String,
  message: message("No failure group has this fingerprint.")
}) {}

/** No limits were set for this group. */
export class GroupNotFound extends Schema.TaggedError<GroupNotFound>()("GroupNotFound", {
  group: Schema.String,
  message: message("No limits are set for this group.")
}) {}

/** The process, or one caller, has its maximum number of event streams open. */
export class TooManyWatched extends Schema.TaggedError<TooManyWatched>()("TooManyWatched", {
  max: Schema.Int,
  message: message(
    "This process has its maximum number of event streams open. Try again when another stream has ended."
  )
}) {}
