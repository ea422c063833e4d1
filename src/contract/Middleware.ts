import { HttpApiMiddleware, HttpApiSecurity, OpenApi } from "effect/http-api"
import { Problems } from "./Problems.ts"

// This file only declares the middleware. The server implements it in `infrastructure/http/edge`.

const bearer = (description: string) =>
  HttpApiSecurity.bearer.pipe(HttpApiSecurity.annotateMerge(OpenApi.annotations({ description })))

const refusals = [Problems.Unauthorized, Problems.Forbidden] as const

/** Requires the role client or operator: 401 without a valid key. Checked before the body is read. */
export class ClientsOnly extends HttpApiMiddleware.Service<ClientsOnly>()(
  "order-platform/contract/ClientsOnly",
  {
    error: refusals,
    security: {
      clientKey: bearer("The secret of a client key or of an operator key.")
    }
  }
) {}

/** Requires the role operator: 401 without a valid key, 403 with a client key. Checked before the body is read. */
export class OperatorsOnly extends HttpApiMiddleware.Service<OperatorsOnly>()(
  "order-platform/contract/OperatorsOnly",
  { error: refusals, security: { operatorKey: bearer("The secret of an operator key.") } }
) {}

/** Answers 406 when the request's `Accept` excludes every media type of the endpoint, before anything is done. */
export class AcceptableAnswers extends HttpApiMiddleware.Service<AcceptableAnswers>()(
  "order-platform/contract/AcceptableAnswers",
  { error: Problems.NotAcceptable }
) {}

/** Answers 400 with every issue when the path, query or headers are invalid. */
export class RequestDecoding extends HttpApiMiddleware.Service<RequestDecoding>()(
  "order-platform/contract/RequestDecoding",
  { error: Problems.InvalidRequest }
) {}
