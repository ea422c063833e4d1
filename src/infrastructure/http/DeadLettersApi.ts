import { Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeadLetter } from "../../domain/DeadLetter.ts"
import {
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrdersUnavailable,
  OrderVersionMismatch
} from "../../domain/OrderErrors.ts"
import { OrderEvent } from "../../domain/OrderEvent.ts"
import { DeadLetterCursor } from "./DeadLetterCursor.ts"
import { IfMatch } from "./IfMatch.ts"
import { OrderIdFromPath } from "./OrderIdFromPath.ts"
import { AcceptedOrder } from "./OrdersApi.ts"
import { RequestDecoding } from "./RequestDecoding.ts"

/** An entry with the events that ended its attempts. */
export const DeadLetterWithAttempts = Schema.Struct({
  ...DeadLetter.fields,
  attempts: Schema.Array(OrderEvent).annotate({
    description: "The events that ended an attempt, oldest first."
  })
}).annotate({ identifier: "DeadLetterWithAttempts" })

const limitSchema = { type: "integer", minimum: 1, maximum: 200, default: 50 }

const DeadLetterQuery = {
  limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(50))
  ),
  cursor: Schema.optionalKey(DeadLetterCursor)
}

/** What operators may do with the dead letter queue. */
export const DeadLettersApi = HttpApiGroup.make("deadLetters")
  .add(
    HttpApiEndpoint.get("list", "/dlq", {
      query: DeadLetterQuery,
      success: HttpApiSchema.WithHeaders(Schema.Array(DeadLetter), {
        link: Schema.optionalKey(Schema.String)
      }),
      error: OrdersUnavailable
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "List the dead letter queue, newest first",
          description: 'Where there is more, the header `Link` has the next page as rel="next".',
          // Its schema decodes a string, as all in a query; what a client should know is the range.
          transform: (operation) => ({
            ...operation,
            parameters: operation["parameters"].map((parameter: { readonly name: string }) =>
              parameter.name === "limit" ? { ...parameter, schema: limitSchema } : parameter
            )
          })
        })
      ),
    HttpApiEndpoint.get("get", "/dlq/:orderId", {
      params: { orderId: OrderIdFromPath },
      success: DeadLetterWithAttempts,
      error: [OrderNotFound, OrderNotInDeadLetterQueue, OrdersUnavailable]
    }).annotateMerge(OpenApi.annotations({ summary: "Read an entry and its attempts" })),
    HttpApiEndpoint.post("reprocess", "/dlq/:orderId/reprocess", {
      params: { orderId: OrderIdFromPath },
      headers: { "if-match": IfMatch },
      success: AcceptedOrder.pipe(HttpApiSchema.status(202)),
      error: [OrderNotFound, OrderNotInDeadLetterQueue, OrderVersionMismatch, OrdersUnavailable]
    })
      .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "Process an order again with all its attempts",
          description:
            "The entry is deleted, the order is PENDING again with retryCount 0, and it is announced, in one transaction. Of two calls at the same time one gets 202 and one 409. There is no body; one that is sent is not read."
        })
      )
  )
  .middleware(RequestDecoding)
  .annotateMerge(
    OpenApi.annotations({ title: "Dead letter queue", description: "Orders that failed for good." })
  )
