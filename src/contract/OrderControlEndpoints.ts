import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiSchema, OpenApi } from "effect/http-api"
import { maxReasonLength } from "../domain/Failure.ts"
import { AcceptedOrder } from "./AcceptedOrder.ts"
import { IfMatch } from "./IfMatch.ts"
import { withOptionalBody } from "./openapi/OptionalBody.ts"
import { OrderIdFromPath } from "./OrderIdFromPath.ts"
import { bodyProblems, Problems, temporary } from "./Problems.ts"

/** The body of `POST /orders/{id}/cancel`. */
export const CancelBody = Schema.Struct({
  reason: Schema.optionalKey(
    Schema.String.annotate({
      description: `The \`failureReason\` of the order; cut at ${maxReasonLength} characters. "Cancelled." by default.`
    })
  )
}).annotate({ identifier: "CancelOrder" })

/** `POST /orders/{id}/cancel`, for clients. */
export const cancelEndpoint = HttpApiEndpoint.post("cancel", "/orders/:id/cancel", {
  params: { id: OrderIdFromPath },
  headers: { "if-match": IfMatch },
  payload: [CancelBody, HttpApiSchema.NoContent],
  success: AcceptedOrder.pipe(HttpApiSchema.status(202)),
  error: [
    ...bodyProblems,
    Problems.OrderNotFound,
    Problems.OrderStateConflict,
    Problems.OrderVersionMismatch,
    temporary(Problems.BodyBudgetExhausted, Problems.OrdersUnavailable)
  ]
})
  .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
  .annotateMerge(
    OpenApi.annotations({
      summary: "Cancel an order",
      description:
        "A PENDING order is FAILED at once, with `discardedAt` set, and never enters the dead letter queue. The attempt of a PROCESSING order is interrupted: unless it completes first, the order ends in the same way. After the 202 the order is never retried and never a dead letter. May be repeated. 409 if the order is PROCESSED, or FAILED without a cancel. The body is optional.",
      transform: withOptionalBody
    })
  )

/** `POST /orders/{id}/run`, for operators. */
export const runEndpoint = HttpApiEndpoint.post("run", "/orders/:id/run", {
  params: { id: OrderIdFromPath },
  success: AcceptedOrder.pipe(HttpApiSchema.status(202)),
  error: [Problems.OrderNotFound, Problems.OrderStateConflict, temporary(Problems.OrdersUnavailable)]
}).annotateMerge(
  OpenApi.annotations({
    summary: "Make an order that waits for its time due now",
    description:
      "The order passes no other order of its ordering key. 409 if it is already due or not PENDING. A request body is ignored."
  })
)
