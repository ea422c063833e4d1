import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { OrderEvent } from "../domain/OrderEvent.ts"
import type { OrderTypes } from "../domain/OrderTypes.ts"
import { AcceptedOrder } from "./AcceptedOrder.ts"
import { AcceptableAnswers, ClientsOnly, OperatorsOnly, RequestDecoding } from "./Middleware.ts"
import { LastEventId } from "./LastEventId.ts"
import { IdempotencyKey, replayedHeader } from "./IdempotencyKey.ts"
import { withOptionalBody } from "./openapi/OptionalBody.ts"
import { cancelEndpoint, runEndpoint } from "./OrderControlEndpoints.ts"
import { OrderIdFromPath } from "./OrderIdFromPath.ts"
import { describeOrderListing, OrderListing, OrderListingQuery } from "./OrderListing.ts"
import { OrderView } from "./OrderView.ts"
import { bodyProblems, Problems, temporary, tooMany } from "./Problems.ts"
import { submitOrderBody } from "./SubmitOrderBody.ts"
import { SubmittedOrders, submitOrdersBody } from "./SubmitOrdersBody.ts"

/** The history of an order, and the reason for its current state. */
export const Timeline = Schema.Struct({
  events: Schema.Array(OrderEvent).annotate({ description: "Every transition, oldest first." }),
  explanation: Schema.String.annotate({
    description: "One sentence on why the order is not running or done right now."
  })
}).annotate({ identifier: "Timeline" })

// The headers and errors of both submit endpoints.
const submitting = {
  headers: { "idempotency-key": IdempotencyKey },
  error: [
    ...bodyProblems,
    Problems.TextNotStorable,
    Problems.IdempotencyMismatch,
    temporary(Problems.BodyBudgetExhausted, Problems.Overloaded, Problems.OrdersUnavailable)
  ]
} as const

/** The endpoints of orders of these types, for clients; `run` is for operators. */
export const makeOrdersApi = <T>(types: OrderTypes<T>) => {
  // Both submit endpoints share one schema of the order; with two schemas, the OpenAPI document would define
  // the order twice.
  const order = submitOrderBody(types)
  const submit = HttpApiEndpoint.post("submit", "/orders", {
    payload: [order, HttpApiSchema.NoContent],
    success: HttpApiSchema.WithHeaders(AcceptedOrder.pipe(HttpApiSchema.status(202)), {
      location: Schema.String,
      ...replayedHeader
    }),
    ...submitting,
    error: [...submitting.error, tooMany(Problems.GroupOverloaded)]
  })
    .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
    .annotateMerge(
      OpenApi.annotations({
        summary: "Submit an order",
        description:
          "Answers 202 after the order is committed; from then on it is never lost. The body is optional; unknown keys are errors, and the last of duplicate keys wins. Answers 400 for text with U+0000 or lone surrogates, nesting beyond 64 levels, integers beyond 2^53 - 1, and numbers that could not be returned unchanged.",
        transform: withOptionalBody
      })
    )
  const others = [
    HttpApiEndpoint.post("submitMany", "/orders/bulk", {
      payload: submitOrdersBody(order),
      success: HttpApiSchema.WithHeaders(SubmittedOrders.pipe(HttpApiSchema.status(202)), replayedHeader),
      ...submitting
    })
      .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "Submit up to 1000 orders",
          description:
            "Answers 202 after all valid orders are committed together. An order that is invalid, or whose group has more than its `maxPending` orders, does not affect the others; its result is a problem. So the status is 202 even if every order is invalid, and 400 only if the body is not a list of at most 1000 orders. An `Idempotency-Key` applies to the whole call."
        })
      ),
    HttpApiEndpoint.get("list", "/orders", {
      query: OrderListingQuery,
      success: OrderListing,
      error: [Problems.InvalidRequest, temporary(Problems.OrdersUnavailable)]
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error", reportInput: true })
      .annotateMerge(
        OpenApi.annotations({
          summary: "List orders, newest first",
          description:
            "An order must match every filter. Following `nextCursor` until it is null returns, exactly once, each order that existed from the first page to the last. A cursor is valid only with the filters it was returned for.",
          transform: describeOrderListing
        })
      ),
    cancelEndpoint,
    HttpApiEndpoint.get("get", "/orders/:id", {
      params: { id: OrderIdFromPath },
      success: HttpApiSchema.WithHeaders(OrderView, { etag: Schema.String }),
      error: [Problems.OrderNotFound, temporary(Problems.OrdersUnavailable)]
    }).annotateMerge(OpenApi.annotations({ summary: "Read an order" })),
    HttpApiEndpoint.get("explain", "/orders/:id/timeline", {
      params: { id: OrderIdFromPath },
      success: Timeline,
      error: [Problems.OrderNotFound, temporary(Problems.OrdersUnavailable)]
    }).annotateMerge(
      OpenApi.annotations({ summary: "Read the history of an order, and the reason for its current state" })
    ),
    HttpApiEndpoint.get("watch", "/orders/:id/events", {
      params: { id: OrderIdFromPath },
      headers: { "last-event-id": LastEventId },
      success: HttpApiSchema.StreamSse({ data: OrderEvent }),
      error: [Problems.OrderNotFound, temporary(Problems.OrdersUnavailable, Problems.TooManyWatched)]
    })
      .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "Follow an order live",
          description:
            "Server-sent events: every transition so far, oldest first, then each as it happens, until the order is PROCESSED or FAILED; then the stream ends. `id` is the version of the order, `event` the name of the event, `data` the event as JSON. The server sends a comment every 15 seconds. After a disconnect, a client resumes with `Last-Event-ID` and receives each event once."
        })
      )
  ] as const
  return (
    HttpApiGroup.make("orders")
      .add(submit, ...others)
      .middleware(RequestDecoding)
      .middleware(AcceptableAnswers)
      .middleware(ClientsOnly)
      // A middleware of a group applies only to the endpoints that were added before it.
      .add(runEndpoint.middleware(RequestDecoding).middleware(AcceptableAnswers).middleware(OperatorsOnly))
      .annotateMerge(OpenApi.annotations({ title: "Orders", description: "Submit orders and follow them." }))
  )
}
