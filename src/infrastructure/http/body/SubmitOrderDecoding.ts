import { Effect } from "effect"
import { type SubmitOrder, submitOrderBody } from "../../../contract/SubmitOrderBody.ts"
import { anyJsonObject, type OrderPayload } from "../../../domain/OrderPayload.ts"
import { type DecodeJson, decodeStrictly } from "./JsonBody.ts"
import { strictJson } from "./StrictJson.ts"

const isObject = (json: unknown): json is object =>
  typeof json === "object" && json !== null && !Array.isArray(json)

const isAnyJson = <P>({ schema }: OrderPayload<P>): boolean => schema === (anyJsonObject.schema as unknown)

const isPayloadAlone = (json: unknown): json is { readonly payload: unknown } => {
  if (!isObject(json) || !Object.hasOwn(json, "payload")) return false
  for (const key in json) if (key !== "payload") return false
  return true
}

/**
 * Decodes the body of `POST /orders`. Most have nothing but a payload; for these its own schema says all there is to say
 * as long as nothing is wrong.
 */
export const decodeSubmitOrder = <P>(payload: OrderPayload<P>): DecodeJson<SubmitOrder<P>> => {
  const decodeWhole = decodeStrictly(submitOrderBody(payload))
  // What was parsed from JSON is JSON: of a payload that may be any object there is nothing else to find out.
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
