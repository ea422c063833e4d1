import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeadLetter } from "../domain/DeadLetter.ts"
import { maxReasonLength, ReasonCode } from "../domain/Failure.ts"
import { Fingerprint } from "../domain/FailureGroup.ts"
import { OrderEvent } from "../domain/OrderEvent.ts"
import { IfMatch } from "./IfMatch.ts"
import { IsoTime } from "./IsoTime.ts"
import { Cursor, filterText, Limit } from "./ListingQuery.ts"
import { describeParameters, limitDescription } from "./openapi/QueryParameters.ts"
import { OrderIdFromPath } from "./OrderIdFromPath.ts"
import { AcceptableAnswers, OperatorsOnly, RequestDecoding } from "./Middleware.ts"
import { AcceptedOrder } from "./AcceptedOrder.ts"
import { Problems, temporary } from "./Problems.ts"

/** A dead letter with the events that ended the attempts of its order. */
export const DeadLetterWithAttempts = Schema.Struct({
  ...DeadLetter.fields,
  attempts: Schema.Array(OrderEvent).annotate({
    description: "The events that ended an attempt, oldest first."
  })
}).annotate({ identifier: "DeadLetterWithAttempts" })

/** The query of `GET /dlq`. An entry must match every filter. */
export const DeadLetterQuery = Schema.Struct({
  reasonCode: Schema.optionalKey(ReasonCode),
  reason: Schema.optionalKey(
    filterText(maxReasonLength).check(Schema.isMinLength(1, { expected: "at least 1 character" }))
  ),
  fingerprint: Schema.optionalKey(Fingerprint),
  failedAfter: Schema.optionalKey(IsoTime),
  failedBefore: Schema.optionalKey(IsoTime),
  limit: Limit,
  cursor: Schema.optionalKey(Cursor)
})

const describeQuery = describeParameters({
  limit: limitDescription,
  reason: { description: "Text that the reason contains; case-sensitive." },
  fingerprint: { description: "The failure group, as in `GET /dlq/groups`." },
  failedAfter: { description: "Failed at this time or later." },
  failedBefore: { description: "Failed before this time." }
})

const DiscardReason = Schema.optionalKey(
  Schema.String.annotate({
    description: `The reason shown in the timeline of the order; cut at ${maxReasonLength} characters.`
  })
)

/** The endpoints of the dead letter queue, for operators. */
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
            'The header `Link` with rel="next" leads to the next page; the last page has no such header. Any page can have fewer entries than its limit, even none. An entry must match every filter. A cursor is valid only with the filters it was returned for.',
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
          summary: "Reprocess an order; it gets all its attempts again",
          description:
            "Deletes the entry and makes the order PENDING with retryCount 0, in one transaction. Of two concurrent calls, one gets 202 and one 409. A request body is ignored."
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
            "Deletes the entry. The order stays FAILED, with `discardedAt` set, and can no longer be reprocessed. Of two concurrent calls, one gets 204 and one 409."
        })
      )
  )
  .middleware(RequestDecoding)
  .middleware(AcceptableAnswers)
  .middleware(OperatorsOnly)
  .annotateMerge(
    OpenApi.annotations({ title: "Dead letter queue", description: "FAILED orders that were not discarded." })
  )
