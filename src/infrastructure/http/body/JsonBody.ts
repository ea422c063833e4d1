import { Effect, Result } from "effect"
import type { HttpServerError, HttpServerRequest } from "effect/http"
import { type BodyBroken, bodyBytes, type BodyReservation } from "./BodyBytes.ts"
import {
  type BodyBudgetExhausted,
  BodyTooLarge,
  type InvalidRequest,
  UnsupportedMediaType
} from "../../../contract/RequestErrors.ts"
import { invalidRequest } from "./RequestIssues.ts"
import { parseJson } from "./ParseJson.ts"
import type { DecodeJson } from "./StrictJson.ts"

// The grammar of media types in RFC 9110, 8.3.1; spaces around the = are accepted, too.
const token = "[!#$%&'*+.^_`|~0-9a-z-]+"
const parameter = String.raw`;[ \t]*(?:(${token})[ \t]*=[ \t]*(${token}|"(?:[^"\\]|\\.)*")[ \t]*)?`
const jsonType = new RegExp(String.raw`^application/(?:json|${token}\+json)[ \t]*((?:${parameter})*)$`, "i")
const parameters = new RegExp(parameter, "gi")
/** The maximum length of a Content-Type, because matching a longer one could be slow. */
const maxContentType = 1000

/**
 * Why this Content-Type is not supported; undefined if it is supported. Of its parameters only `charset` is
 * read.
 */
const wrongMediaType = (contentType: string): string | undefined => {
  if (contentType === "application/json") return undefined
  const given = contentType.length > maxContentType ? null : jsonType.exec(contentType)
  if (given === null) return "Send application/json in UTF-8, or no body."
  for (const [, name, value = ""] of (given[1] ?? "").matchAll(parameters)) {
    const isUtf8 = /^(?:utf-?8|"utf-?8")$/i.test(value)
    if (name?.toLowerCase() === "charset" && !isUtf8) return "The charset of the body must be UTF-8."
  }
  return undefined
}

const tooLarge = (maxBytes: number) =>
  new BodyTooLarge({ message: `The body is larger than the limit of ${maxBytes} bytes.`, maxBytes })

const malformed = (message: string) => invalidRequest([{ in: "body", path: [], message }])

const readFailure = (
  error: BodyBroken | BodyBudgetExhausted | HttpServerError.HttpServerError,
  maxBytes: number
) => {
  if (error._tag === "BodyBudgetExhausted") return error
  return error._tag !== "BodyBroken" &&
    error.reason._tag === "RequestParseError" &&
    error.reason.reason === "BodyTooLarge"
    ? tooLarge(maxBytes)
    : malformed("The body could not be read")
}

/** Why a body is refused. */
type BodyProblem = BodyTooLarge | UnsupportedMediaType | InvalidRequest | BodyBudgetExhausted

/**
 * The bytes of the body; an empty array if there is no body. A body that the headers already rule out is not
 * read.
 */
const readBytes = (
  request: HttpServerRequest.HttpServerRequest,
  maxBytes: number,
  reservation: BodyReservation
): Effect.Effect<Uint8Array, BodyProblem> => {
  const { "content-encoding": encoding, "content-length": length, "content-type": type } = request.headers
  const chunked = request.headers["transfer-encoding"] !== undefined
  if (!chunked && (length === undefined || Number(length) === 0)) return Effect.succeed(new Uint8Array(0))
  if (Number(length) > maxBytes) return tooLarge(maxBytes)
  const wrongType = type === undefined ? undefined : wrongMediaType(type)
  if (wrongType !== undefined) return new UnsupportedMediaType({ message: wrongType })
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    return new UnsupportedMediaType({ message: "Send the body without a Content-Encoding." })
  return Effect.mapError(bodyBytes(request, maxBytes, reservation), (error) => readFailure(error, maxBytes))
}

/**
 * The body as JSON, and its length in bytes. A missing body is read as `{}`; the last of duplicate keys wins.
 */
export const readJson = (
  request: HttpServerRequest.HttpServerRequest,
  maxBytes: number,
  reservation: BodyReservation
): Effect.Effect<{ readonly bytes: number; readonly json: unknown }, BodyProblem> =>
  Effect.flatMap(readBytes(request, maxBytes, reservation), (bytes) => {
    const parsed = parseJson(bytes)
    return Result.isFailure(parsed)
      ? malformed(parsed.failure)
      : Effect.succeed({ bytes: bytes.byteLength, json: parsed.success })
  })

/**
 * Reads and decodes the request's body. HttpApi's own decoding is not used, because it has no access to the bytes, and
 * treats a wrong media type as no body.
 */
export const decodeJsonBody =
  <A>(decode: DecodeJson<A>, maxBytes: number) =>
  (
    request: HttpServerRequest.HttpServerRequest,
    reservation: BodyReservation
  ): Effect.Effect<A, BodyProblem> =>
    Effect.flatMap(readJson(request, maxBytes, reservation), ({ json }) =>
      Effect.mapError(decode(json), invalidRequest)
    )
