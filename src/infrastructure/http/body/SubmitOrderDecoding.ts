import { Effect } from "effect"
import { type SubmitOrder, submitOrderBody } from "../../../contract/SubmitOrderBody.ts"
import { anyJsonObject, type OrderPayload } from "../../../domain/OrderPayload.ts"
import { type DecodeJson, decodeStrictly, strictJson } from "./StrictJson.ts"

const isObject = (json: unknown): json is object =>
  typeof json === "object" && json !== null && !Array.isArray(json)

const isAnyJson = <P>({ schema }: OrderPayload<P>): boolean => schema === (anyJsonObject.schema as unknown)

const isPayloadAlone = (json: unknown): json is { readonly payload: unknown } => {
  if (!isObject(json) || !Object.hasOwn(json, "payload")) return false
  for (const key in json) if (key !== "payload") return false
  return true
}

/**
 * Decodes the body of `POST /orders`. Most bodies have only a payload. Such a body is decoded by the
 * payload's schema alone; if that fails, the whole body is decoded to find its issues.
 */
export const decodeSubmitOrder = <P>(payload: OrderPayload<P>): DecodeJson<SubmitOrder<P>> => {
  const decodeWhole = decodeStrictly(submitOrderBody(payload))
  // If the payload may be any JSON object, it needs no further check.
  const decodePayload: DecodeJson<P> = isAnyJson(payload)
    ? (json) => (isObject(json) ? Effect.succeed(json as P) : Effect.fail([]))
    : decodeStrictly(payload.schema, { deep: false })
  return (json) =>
    isPayloadAlone(json) && strictJson(json).issues.length === 0
      ? Effect.matchEffect(decodePayload(json.payload), {
          onSuccess: (decoded) => Effect.succeed({ payload: decoded }),
          onFailure: () => decodeWhole(json)
        })
      : decodeWhole(json)
}
