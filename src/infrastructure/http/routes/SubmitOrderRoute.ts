import { Effect, Result, Schema } from "effect"
import { HttpRouter, type HttpServerRequest, type HttpServerResponse } from "effect/http"
import { OrderPlatform, type SubmitError } from "../../../application/OrderPlatform.ts"
import type { IdempotencyMismatch } from "../../../domain/OrderErrors.ts"
import type { OrderPayload } from "../../../domain/OrderPayload.ts"
import { accepts, notAcceptable } from "../edge/ContentNegotiation.ts"
import { acceptedAnswer } from "./AcceptedAnswer.ts"
import { refusalFor } from "../edge/Authorization.ts"
import { makeBodyBudget } from "../body/BodyBytes.ts"
import { ApiKeys, isOpen } from "../edge/Caller.ts"
import { type Asked, makeEveryRequest } from "../edge/RequestPipeline.ts"
import { IdempotencyKey } from "../../../contract/IdempotencyKey.ts"
import { idempotencyOf } from "./Idempotency.ts"
import { type BodyProblem, decodeJsonBody } from "../body/JsonBody.ts"
import type { Forbidden, NotAcceptable, Unauthorized } from "../../../contract/RequestErrors.ts"
import { invalidRequest, requestIssues } from "../body/RequestIssues.ts"
import { MaxBodyBytes } from "../edge/RequestLimits.ts"
import { problemResponse } from "../edge/ProblemResponse.ts"
import { decodeSubmitOrder } from "../body/SubmitOrderDecoding.ts"

type Refusal = Unauthorized | Forbidden | NotAcceptable | BodyProblem | SubmitError | IdempotencyMismatch

const call = "POST /orders"

const decodeKey = Schema.decodeUnknownResult(Schema.Struct({ "idempotency-key": IdempotencyKey }), {
  errors: "all"
})
const noKey = Result.succeed({})

/**
 * `POST /orders`, the one endpoint whose cost limits what the server takes: a route of its own, with the same steps in
 * the same order as the others have in their middleware, and as the contract describes it. See docs/adr/0007.
 */
export const layerSubmitOrder = <P>(payload: OrderPayload<P>) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const platform = yield* OrderPlatform.service(payload)
      const open = isOpen(yield* ApiKeys)
      const maxBytes = yield* MaxBodyBytes
      const decodeBody = decodeJsonBody(decodeSubmitOrder(payload), maxBytes)
      const withinBudget = makeBodyBudget(maxBytes)
      const { answerAlone } = yield* makeEveryRequest

      const submit = (
        request: HttpServerRequest.HttpServerRequest,
        { caller, correlationId }: Asked
      ): Effect.Effect<HttpServerResponse.HttpServerResponse, Refusal> => {
        const refusal = refusalFor("client", open, caller)
        if (refusal !== null) return Effect.fail(refusal)
        const { accept } = request.headers
        if (accept !== undefined && accept !== "*/*" && !accepts(accept, "application/json"))
          return Effect.fail(notAcceptable(["application/json"]))
        const headers = request.headers["idempotency-key"] === undefined ? noKey : decodeKey(request.headers)
        if (Result.isFailure(headers))
          return Effect.fail(invalidRequest(requestIssues("header", headers.failure)))
        const idempotency = idempotencyOf(headers.success, call, caller)
        return withinBudget((reservation) =>
          Effect.flatMap(decodeBody(request, reservation), (body) => {
            const submission = { ...body, correlationId }
            return idempotency === null
              ? Effect.map(platform.submit(submission), (id) => acceptedAnswer(id, false))
              : Effect.map(platform.submit(submission, { idempotency }), ({ answer, replayed }) =>
                  acceptedAnswer(answer, replayed)
                )
          })
        )
      }

      const handler = answerAlone((request, asked) =>
        Effect.catch(submit(request, asked), (error) =>
          // The payload was decoded by its own schema, so to encode it again cannot fail.
          error._tag === "SchemaError" ? Effect.die(error) : Effect.succeed(problemResponse(error))
        )
      )
      yield* router.add("POST", "/orders", handler, { uninterruptible: true })
    })
  )
