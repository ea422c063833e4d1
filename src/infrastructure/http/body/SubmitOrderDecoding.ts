import { Effect, type Schema } from "effect"
import {
  type SubmitOrder,
  submitOrderBody,
  submitOrderOfNoType,
  submitOrderOfType
} from "../../../contract/SubmitOrderBody.ts"
import { anyJsonObject } from "../../../domain/OrderPayload.ts"
import { type AnyOrderType, finder, type OrderTypes } from "../../../domain/OrderTypes.ts"
import { type DecodeJson, decodeStrictly, strictJson } from "./StrictJson.ts"

const isObject = (json: unknown): json is object =>
  typeof json === "object" && json !== null && !Array.isArray(json)

const isAnyJson = ({ schema }: AnyOrderType): boolean => schema === anyJsonObject.schema

const isPayloadAlone = (json: unknown): json is { readonly payload: unknown } => {
  if (!isObject(json) || !Object.hasOwn(json, "payload")) return false
  for (const key in json) if (key !== "payload") return false
  return true
}

/** The type that a body names, or `nameIfOmitted` if it names none; null if the type is not a text. */
const nameIn = (json: unknown, nameIfOmitted: string | null): string | null => {
  if (!isObject(json) || !("type" in json)) return nameIfOmitted
  return typeof json.type === "string" ? json.type : null
}

/** Decodes the body of `POST /orders` by the schema of its type, so that only the issues of that type are reported. */
export const decodeWholeOrder = <T>(types: OrderTypes<T>): DecodeJson<SubmitOrder<T>> => {
  const { members, nameIfOmitted } = types
  if (members.length === 1) return decodeStrictly(submitOrderBody(types))
  const decoderOf = finder(types, (type) => decodeStrictly(submitOrderOfType(types, type)))
  const decodeNoType = decodeStrictly(submitOrderOfNoType(types))
  return (json) => {
    const name = nameIn(json, nameIfOmitted)
    const decode = name === null ? undefined : decoderOf(name)
    // Decoding the body of an unknown type always fails, and reports all its issues.
    return decode === undefined ? Effect.flatMap(decodeNoType(json), () => Effect.fail([])) : decode(json)
  }
}

/**
 * Decodes the body of `POST /orders`. Most bodies have only a payload. Such a body is decoded by the
 * payload's schema alone; if that fails, the whole body is decoded to find its issues.
 */
export const decodeSubmitOrder = <T>(types: OrderTypes<T>): DecodeJson<SubmitOrder<T>> => {
  const decodeWhole = decodeWholeOrder(types)
  if (types.nameIfOmitted === null) return decodeWhole
  const decodePayload = finder(types, decodePayloadOf)(types.nameIfOmitted)
  if (decodePayload === undefined) return decodeWhole
  return (json) =>
    isPayloadAlone(json) && strictJson(json).issues.length === 0
      ? Effect.matchEffect(decodePayload(json.payload), {
          onSuccess: (payload) => Effect.succeed({ payload } as SubmitOrder<T>),
          onFailure: () => decodeWhole(json)
        })
      : decodeWhole(json)
}

const decodePayloadOf = (type: AnyOrderType): DecodeJson<unknown> =>
  // If the payload may be any JSON object, it needs no further check.
  isAnyJson(type)
    ? (json) => (isObject(json) ? Effect.succeed(json) : Effect.fail([]))
    : decodeStrictly(type.schema as Schema.Codec<unknown, unknown>, { deep: false })
