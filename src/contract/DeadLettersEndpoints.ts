import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeadLetter } from "../domain/DeadLetter.ts"
import { maxReasonLength, ReasonCode } from "../domain/Failure.ts"
import { OrderEvent } from "../domain/OrderEvent.ts"
import { IfMatch } from "./IfMatch.ts"
import { IsoTime } from "./IsoTime.ts"
import { Cursor, filterText, Limit } from "./ListingQuery.ts"
import { describeParameters, limitDescription } from "./openapi/QueryParameters.ts"
import { OrderIdFromPath } from "./OrderIdFromPath.ts"
import { AcceptableAnswers, OperatorsOnly, RequestDecoding } from "./Middleware.ts"
import { AcceptedOrder } from "./OrdersEndpoints.ts"
import { Problems, temporary } from "./Problems.ts"

/** An entry with the events that ended its attempts. */
export const DeadLetterWithAttempts = Schema.Struct({
  ...DeadLetter.fields,
  attempts: Schema.Array(OrderEvent).annotate({
    description: "The events that ended an attempt, oldest first."
  })
}).annotate({ identifier: "DeadLetterWithAttempts" })

/** The query of `GET /dlq`; all filters are combined. */
export const DeadLetterQuery = Schema.Struct({
  reasonCode: Schema.optionalKey(ReasonCode),
  reason: Schema.optionalKey(
    filterText(maxReasonLength).check(Schema.isMinLength(1, { expected: "at least 1 character" }))
  ),
  failedAfter: Schema.optionalKey(IsoTime),
  failedBefore: Schema.optionalKey(IsoTime),
  limit: Limit,
  cursor: Schema.optionalKey(Cursor)
})

const describeQuery = describeParameters({
  limit: limitDescription,
  reason: { description: "A part of the reason, case-sensitive." },
  failedAfter: { description: "Failed at this time or later." },
  failedBefore: { description: "Failed before this time." }
})

const DiscardReason = Schema.optionalKey(
  Schema.String.annotate({
    description: `The reason shown in the timeline of the order; cut at ${maxReasonLength} characters.`
  })
)

/** The operators' endpoints of the dead letter queue. */
export const DeadLettersApi = HttpApiGroup.make("deadLetters")
  .add(
    HttpApiEndpoint.get("list", "/dlq", {
      query: DeadLetterQuery,
      success: HttpApiSchema.WithHeaders(Schema.Array(DeadLetter), {
        link: Schema.optionalKey(Schema.String)
      }),
      error: [Problems.InvalidRequest, temporary(Problems.OrdersUnavailable)]
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error", reportInput: true })
      .annotateMerge(
        OpenApi.annotations({
          summary: "List the dead letter queue, newest first",
          description:
            'If there are more entries, the header `Link` has the next page as rel="next"; a page may be shorter than its limit, even empty, and have one. All filters are combined. A cursor is valid only with the filters it was returned for.',
          transform: describeQuery
        })
      ),
    HttpApiEndpoint.get("get", "/dlq/:orderId", {
      params: { orderId: OrderIdFromPath },
      success: DeadLetterWithAttempts,
      error: [
        Problems.OrderNotFound,
        Problems.OrderNotInDeadLetterQueue,
        temporary(Problems.OrdersUnavailable)
      ]
    }).annotateMerge(OpenApi.annotations({ summary: "Read an entry and its attempts" })),
    HttpApiEndpoint.post("reprocess", "/dlq/:orderId/reprocess", {
      params: { orderId: OrderIdFromPath },
      headers: { "if-match": IfMatch },
      success: AcceptedOrder.pipe(HttpApiSchema.status(202)),
      error: [
        Problems.OrderNotFound,
        Problems.OrderNotInDeadLetterQueue,
        Problems.OrderVersionMismatch,
        temporary(Problems.OrdersUnavailable)
      ]
    })
      .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "Process an order again with all its attempts",
          description:
            "The entry is deleted, the order is PENDING again with retryCount 0, and it is announced, in one transaction. Of two calls at the same time one gets 202 and one 409. A request body is ignored."
        })
      ),
    HttpApiEndpoint.delete("discard", "/dlq/:orderId", {
      params: { orderId: OrderIdFromPath },
      query: { reason: DiscardReason },
      headers: { "if-match": IfMatch },
      success: HttpApiSchema.NoContent,
      error: [
        Problems.OrderNotFound,
        Problems.OrderNotInDeadLetterQueue,
        Problems.OrderVersionMismatch,
        temporary(Problems.OrdersUnavailable)
      ]
    })
      .annotate(HttpApi.HeadersParseOptions, { errors: "all" })
      .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error", reportInput: true })
      .annotateMerge(
        OpenApi.annotations({
          summary: "Discard an entry",
          description:
            "The entry is deleted; the order stays FAILED with `discardedAt`, and can no longer be reprocessed. Of two calls at the same time one gets 204 and one 409."
        })
      )
  )
  .middleware(RequestDecoding)
  .middleware(AcceptableAnswers)
  .middleware(OperatorsOnly)
  .annotateMerge(
    OpenApi.annotations({ title: "Dead letter queue", description: "Orders that failed permanently." })
  )
