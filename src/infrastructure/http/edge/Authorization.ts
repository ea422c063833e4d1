import { Effect, Layer, Option, type Types } from "effect"
import type { HttpServerResponse } from "effect/http"
import { HttpApiMiddleware, HttpApiSecurity, OpenApi } from "effect/http-api"
import { ApiKeys, type Caller, CurrentCaller, isOpen, type Role } from "./Caller.ts"
import { Forbidden, Unauthorized } from "../../../contract/Problems.ts"

const error = [Unauthorized, Forbidden] as const

const bearer = (description: string) =>
  HttpApiSecurity.bearer.pipe(HttpApiSecurity.annotateMerge(OpenApi.annotations({ description })))

/** Why this caller is refused what needs a role; null where it is not. */
export const refusalFor = (needed: Role, open: boolean, caller: Option.Option<Caller>) => {
  if (open) return null
  if (Option.isNone(caller)) return new Unauthorized()
  const { role } = caller.value
  if (role === needed || role === "operator") return null
  return new Forbidden({ detail: `This needs the role ${needed}; the key has the role ${role}.` })
}

const only = Effect.fnUntraced(function* (needed: Role) {
  const open = isOpen(yield* ApiKeys)
  return Effect.fnUntraced(function* (
    answer: Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled>
  ) {
    const refusal = refusalFor(needed, open, yield* CurrentCaller)
    return yield* refusal ?? answer
  })
})

/** Lets callers with the role client pass, which an operator has too: 401 without a known key. Before anything is read. */
export class ClientsOnly extends HttpApiMiddleware.Service<ClientsOnly>()(
  "order-platform/infrastructure/http/ClientsOnly",
  {
    error,
    security: {
      clientKey: bearer("The secret of a client's key, or of an operator's: its role includes the client's.")
    }
  }
) {
  static readonly layer = Layer.effect(
    ClientsOnly,
    Effect.map(only("client"), (clientKey) => ({ clientKey }))
  )
}

/** Lets operators pass: 401 without a known key, 403 with a client's. Before anything is read. */
export class OperatorsOnly extends HttpApiMiddleware.Service<OperatorsOnly>()(
  "order-platform/infrastructure/http/OperatorsOnly",
  { error, security: { operatorKey: bearer("The secret of an operator's key.") } }
) {
  static readonly layer = Layer.effect(
    OperatorsOnly,
    Effect.map(only("operator"), (operatorKey) => ({ operatorKey }))
  )
}
