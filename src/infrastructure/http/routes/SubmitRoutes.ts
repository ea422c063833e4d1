import { Effect, Result, Schema } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiSchema } from "effect/http-api"
import type { Idempotency } from "../../../application/intake/Idempotency.ts"
import type { SubmissionRefused } from "../../../application/intake/Submission.ts"
import { OrderPlatform } from "../../../application/OrderPlatform.ts"
import { IdempotencyKey } from "../../../contract/IdempotencyKey.ts"
import type { SubmittedOrders } from "../../../contract/SubmitOrdersBody.ts"
import type { GroupOverloaded } from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderTypes } from "../../../domain/OrderTypes.ts"
import { makeBodyBudget } from "../body/BodyBytes.ts"
import { decodeJsonBody } from "../body/JsonBody.ts"
import { invalidRequest, requestIssues } from "../body/RequestIssues.ts"
import { decodeSubmitOrder } from "../body/SubmitOrderDecoding.ts"
import { decodeOrdersBody } from "../body/SubmitOrdersDecoding.ts"
import { callerName, CurrentRequest, type RequestIdentity } from "../edge/CurrentRequest.ts"
import { problemResponse } from "../edge/ProblemResponse.ts"
import { MaxBodyBytes, MaxBulkBodyBytes } from "../edge/RequestLimits.ts"

interface Submitting {
  readonly headers: { readonly "idempotency-key"?: string }
  readonly request: HttpServerRequest.HttpServerRequest
}

/** The idempotency key of a request, scoped to its caller and route. */
const idempotencyOf = (
  { headers: { "idempotency-key": key } }: Submitting,
  route: string,
  identity: RequestIdentity | null
): Idempotency | null => {
  if (key === undefined) return null
  const caller = callerName(identity)
  return { key, scope: caller === null ? route : `${route} ${caller}` }
}

const replayedHeader = (replayed: boolean): { readonly "idempotency-replayed"?: "true" } =>
  replayed ? { "idempotency-replayed": "true" } : {}

/**
 * The 202 of one order, written without its schema, because encoding would take as long as the rest of the handler.
 * Tests compare it with the contract.
 */
const accepted = (orderId: OrderId, replayed: boolean): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`{"orderId":"${orderId}"}`, {
    status: 202,
    contentType: "application/json",
    headers: { location: `/orders/${orderId}`, ...replayedHeader(replayed) }
  })

/** The results of many orders. The path of each issue begins with `orders` and the index of the order. */
const viewResults = (
  results: ReadonlyArray<Result.Result<OrderId, SubmissionRefused | GroupOverloaded>>
): typeof SubmittedOrders.Type => ({
  results: results.map((result, index) =>
    Result.match(result, {
      onSuccess: (orderId) => ({ orderId }),
      onFailure: (refusal) => ({
        problem: refusal._tag === "GroupOverloaded" ? refusal : viewRefused(refusal, index)
      })
    })
  )
})

const viewRefused = ({ issues, unlisted }: SubmissionRefused, index: number) =>
  invalidRequest(
    issues.map(({ message, path }) => ({ in: "body", path: ["orders", index, ...path], message })),
    unlisted
  )

const decodeHeaders = Schema.decodeUnknownEffect(Schema.Struct({ "idempotency-key": IdempotencyKey }))

const headersOf = ({ headers }: HttpServerRequest.HttpServerRequest) =>
  headers["idempotency-key"] === undefined
    ? Effect.succeed({})
    : Effect.mapError(decodeHeaders(headers), (error) => invalidRequest(requestIssues("header", error)))

/**
 * The handler of `POST /orders`. It runs without HttpApi around it, because HttpApi merges the context of the
 * process and the context of the request into a new context for each request. It adds no log annotations to
 * the context, because a context with annotations stays in memory for longer. Together this saves 17 µs, and
 * 40 µs of garbage collection, of the about 430 µs of CPU time of a submit (docs/adr/0007). A
 * `SchemaError` is a defect here, because a payload that was decoded can be encoded.
 */
export const makeSubmit = Effect.fnUntraced(function* <T>(types: OrderTypes<T>) {
  const platform = yield* OrderPlatform.service(types)
  const maxBytes = yield* MaxBodyBytes
  const decodeBody = decodeJsonBody(decodeSubmitOrder(types), maxBytes)
  const withinBudget = makeBodyBudget(maxBytes)

  const submit = (call: Submitting, identity: RequestIdentity) =>
    withinBudget((reservation) => {
      const idempotency = idempotencyOf(call, "POST /orders", identity)
      return Effect.flatMap(decodeBody(call.request, reservation), (body) => {
        const submission = { ...body, correlationId: identity.correlationId }
        return idempotency === null
          ? Effect.map(platform.submit(submission), (id) => accepted(id, false))
          : Effect.map(platform.submit(submission, { idempotency }), ({ answer, replayed }) =>
              accepted(answer, replayed)
            )
      })
    }).pipe(Effect.catchTag("SchemaError", Effect.die))

  return (request: HttpServerRequest.HttpServerRequest, identity: RequestIdentity) =>
    Effect.flatMap(headersOf(request), (headers) => submit({ headers, request }, identity)).pipe(
      Effect.catch((error) => Effect.succeed(problemResponse(error)))
    )
})

/** The handler of `POST /orders/bulk`. */
export const makeSubmitMany = Effect.fnUntraced(function* <T>(types: OrderTypes<T>) {
  const platform = yield* OrderPlatform.service(types)
  const maxBytes = yield* MaxBodyBytes
  const maxBulkBytes = yield* MaxBulkBodyBytes
  const decodeBody = decodeOrdersBody(types, { maxBytes, maxBulkBytes })
  const withinBudget = makeBodyBudget(maxBulkBytes)

  return (call: Submitting) =>
    withinBudget(
      Effect.fnUntraced(function* (reservation) {
        const identity = yield* CurrentRequest
        const orders = yield* decodeBody(call.request, reservation)
        const submissions =
          identity === null
            ? orders
            : orders.map((order) =>
                "refused" in order ? order : { ...order, correlationId: identity.correlationId }
              )
        const idempotency = idempotencyOf(call, "POST /orders/bulk", identity)
        const options = idempotency === null ? {} : { idempotency }
        const { answer, replayed } = yield* platform.submitMany(submissions, options)
        return HttpApiSchema.withHeaders({ body: viewResults(answer), headers: replayedHeader(replayed) })
      })
    ).pipe(Effect.catchTag("SchemaError", Effect.die))
})
