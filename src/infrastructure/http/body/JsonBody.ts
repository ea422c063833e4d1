import { Effect, Result, Schema } from "effect"
import type { HttpServerError, HttpServerRequest } from "effect/http"
import { type BodyBroken, bodyBytes } from "./BodyBytes.ts"
import type { BodyPlace } from "./BodyBudget.ts"
import {
  type BodyBudgetExhausted,
  BodyTooLarge,
  type InvalidRequest,
  type RequestIssue,
  UnsupportedMediaType
} from "../../../contract/RequestErrors.ts"
import { invalidRequest, requestIssues } from "./RequestIssues.ts"
import { parseJson } from "./ParseJson.ts"
import { strictJson } from "./StrictJson.ts"

// RFC 9110, 8.3.1, and spaces around the = as well.
const token = "[!#$%&'*+.^_`|~0-9a-z-]+"
const parameter = String.raw`;[ \t]*(?:(${token})[ \t]*=[ \t]*(${token}|"(?:[^"\\]|\\.)*")[ \t]*)?`
const jsonType = new RegExp(String.raw`^application/(?:json|${token}\+json)[ \t]*((?:${parameter})*)$`, "i")
const parameters = new RegExp(parameter, "gi")
/** A longer Content-Type is no JSON; the expression could take long on one. */
const maxContentType = 1000

/** Why a body of this Content-Type is not taken; undefined where it is. Only `charset` of its parameters is read. */
const wrongMediaType = (contentType: string): string | undefined => {
  const given = contentType.length > maxContentType ? null : jsonType.exec(contentType)
  if (given === null) return "Send application/json in UTF-8, or no body."
  for (const [, name, value = ""] of (given[1] ?? "").matchAll(parameters)) {
    const isUtf8 = /^(?:utf-?8|"utf-?8")$/i.test(value)
    if (name?.toLowerCase() === "charset" && !isUtf8) return "The charset of the body must be UTF-8."
  }
  return undefined
}

const tooLarge = (maxBytes: number) =>
  new BodyTooLarge({ message: `The body is larger than the ${maxBytes} bytes taken.`, maxBytes })

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

/** Why a body is not taken. */
export type BodyProblem = BodyTooLarge | UnsupportedMediaType | InvalidRequest | BodyBudgetExhausted

/** The bytes of the body: none if there is no body, refused before they are read if declared too large. */
const readBytes = (
  request: HttpServerRequest.HttpServerRequest,
  maxBytes: number,
  place: BodyPlace
): Effect.Effect<Uint8Array, BodyProblem> => {
  const { "content-encoding": encoding, "content-length": length, "content-type": type } = request.headers
  const chunked = request.headers["transfer-encoding"] !== undefined
  if (!chunked && (length === undefined || Number(length) === 0)) return Effect.succeed(new Uint8Array(0))
  if (Number(length) > maxBytes) return tooLarge(maxBytes)
  const wrongType = type === undefined ? undefined : wrongMediaType(type)
  if (wrongType !== undefined) return new UnsupportedMediaType({ message: wrongType })
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    return new UnsupportedMediaType({ message: "Send the body without a Content-Encoding." })
  return Effect.mapError(bodyBytes(request, maxBytes, place), (error) => readFailure(error, maxBytes))
}

/** The body as JSON, and how long it is. No body is `{}`; of duplicate keys the last one counts. */
export const readJson = (
  request: HttpServerRequest.HttpServerRequest,
  maxBytes: number,
  place: BodyPlace
): Effect.Effect<{ readonly bytes: number; readonly json: unknown }, BodyProblem> =>
  Effect.flatMap(readBytes(request, maxBytes, place), (bytes) => {
    const parsed = parseJson(bytes)
    return Result.isFailure(parsed)
      ? malformed(parsed.failure)
      : Effect.succeed({ bytes: bytes.byteLength, json: parsed.success })
  })

interface Place extends Map<string | number, Place> {}

// Tells whether a path has an issue. Step by step: paths may be many and long, and as text they would fill the memory.
const placesOf = (issues: ReadonlyArray<RequestIssue>) => {
  const root: Place = new Map()
  const ends = new Set<Place>()
  for (const { path } of issues) {
    let place = root
    for (const segment of path) {
      const next: Place = place.get(segment) ?? new Map()
      place.set(segment, next)
      place = next
    }
    ends.add(place)
  }
  return (path: RequestIssue["path"]): boolean => {
    let place: Place | undefined = root
    for (const segment of path) place = place?.get(segment)
    return place !== undefined && ends.has(place)
  }
}

/** Decodes JSON, and fails with every issue at once. */
export type DecodeJson<A> = (json: unknown) => Effect.Effect<A, ReadonlyArray<RequestIssue>>

/**
 * Decodes JSON by a schema that allows no unknown keys, and fails with every issue at once: what breaks the schema, and
 * what cannot be kept as it is. Not `deep`, it leaves to others what is inside.
 */
export const decodeStrictly = <A, I>(schema: Schema.Codec<A, I>, { deep = true } = {}): DecodeJson<A> => {
  const decode = Schema.decodeUnknownEffect(schema, {
    errors: "all",
    onExcessProperty: "error",
    reportInput: true
  })
  return (json) => {
    const { issues, tooDeep } = deep ? strictJson(json) : { issues: [], tooDeep: false }
    if (tooDeep) return Effect.fail(issues)
    return Effect.matchEffect(decode(json), {
      onSuccess: (decoded) => (issues.length > 0 ? Effect.fail(issues) : Effect.succeed(decoded)),
      onFailure: (error) => {
        const isReported = placesOf(issues)
        const others = requestIssues("body", error)
        return Effect.fail([...issues, ...others.filter(({ path }) => !isReported(path))])
      }
    })
  }
}

/**
 * Reads the request's body. Not by HttpApi's own decoding, which neither sees the bytes nor tells an absent
 * body from a wrong media type.
 */
export const decodeJsonBody =
  <A>(decode: DecodeJson<A>, maxBytes: number) =>
  (request: HttpServerRequest.HttpServerRequest, place: BodyPlace): Effect.Effect<A, BodyProblem> =>
    Effect.flatMap(readJson(request, maxBytes, place), ({ json }) =>
      Effect.mapError(decode(json), invalidRequest)
    )
