import { Effect, Layer, Option, type Types } from "effect"
import type { HttpServerResponse } from "effect/http"
import { ApiKeys, type Caller, CurrentCaller, isOpen, type Role } from "./Caller.ts"
import { ClientsOnly, OperatorsOnly } from "../../../contract/Middleware.ts"
import { Forbidden, Unauthorized } from "../../../contract/RequestErrors.ts"

/** Why this caller is refused what needs a role; null where it is not. */
export const refusalFor = (needed: Role, open: boolean, caller: Option.Option<Caller>) => {
  if (open) return null
  if (Option.isNone(caller)) return new Unauthorized()
  const { role } = caller.value
  if (role === needed || role === "operator") return null
  return new Forbidden({ message: `This needs the role ${needed}; the key has the role ${role}.` })
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

/** Checks the roles that the endpoints require, before anything of the request is read. */
export const Authorization = {
  layer: Layer.mergeAll(
    Layer.effect(
      ClientsOnly,
      Effect.map(only("client"), (clientKey) => ({ clientKey }))
    ),
    Layer.effect(
      OperatorsOnly,
      Effect.map(only("operator"), (operatorKey) => ({ operatorKey }))
    )
  )
}
