import { Effect, type Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import { MaxBodyBytes } from "../edge/RequestLimits.ts"
import { makeBodyBudget } from "./BodyBytes.ts"
import { decodeJsonBody } from "./JsonBody.ts"
import { decodeStrictly } from "./StrictJson.ts"

/** A call whose body is read. */
export interface CallWithBody {
  readonly request: HttpServerRequest.HttpServerRequest
}

/**
 * Reads the bodies of the calls that control orders. A missing body is read as `{}`. All these endpoints share one
 * budget of memory.
 */
export const makeReadBody = Effect.map(MaxBodyBytes, (maxBytes) => {
  const withinBudget = makeBodyBudget(maxBytes)
  return <A, I>(schema: Schema.Codec<A, I>) => {
    const decode = decodeJsonBody(decodeStrictly(schema), maxBytes)
    return <C extends CallWithBody, B, E, R>(use: (call: C, body: A) => Effect.Effect<B, E, R>) =>
      (call: C) =>
        withinBudget((reservation) =>
          Effect.flatMap(decode(call.request, reservation), (body) => use(call, body))
        )
  }
})
export type ReadBody = Effect.Success<typeof makeReadBody>
