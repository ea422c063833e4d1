import { Effect, Result, Schema } from "effect"
import { type HttpServerError, HttpServerRequest } from "effect/http"
import { type BodyBroken, bodyBytes } from "./BodyBytes.ts"
import { BodyTooLarge, type RequestIssue, UnsupportedMediaType } from "./Problems.ts"
import { invalidRequest, requestIssues } from "./RequestIssues.ts"
import { MaxBodyBytes } from "./RequestLimits.ts"
import { strictJson } from "./StrictJson.ts"

const isJson = (contentType: string) =>
  // A longer one is none, and would keep the expression busy.
  contentType.length <= 200 &&
  /^application\/(?:json|[a-z0-9!#$&^_.-]+\+json)\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?;?\s*$/i.test(
    contentType
  )

const tooLarge = (maxBytes: number) =>
  new BodyTooLarge({ detail: `The body is larger than the ${maxBytes} bytes taken.`, maxBytes })

const malformed = (message: string) => invalidRequest([{ in: "body", path: [], message }])

const readFailure = (error: BodyBroken | HttpServerError.HttpServerError, maxBytes: number) =>
  error._tag !== "BodyBroken" &&
  error.reason._tag === "RequestParseError" &&
  error.reason.reason === "BodyTooLarge"
    ? tooLarge(maxBytes)
    : malformed("The body could not be read")

/** The bytes of the body: none if there is no body, refused before they are read if declared too large. */
const readBytes = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  maxBytes: number
) {
  const { "content-encoding": encoding, "content-length": length, "content-type": type } = request.headers
  const chunked = request.headers["transfer-encoding"] !== undefined
  if (!chunked && (length === undefined || Number(length) === 0)) return new Uint8Array(0)
  if (Number(length) > maxBytes) return yield* tooLarge(maxBytes)
  if (type !== undefined && !isJson(type)) {
    return yield* new UnsupportedMediaType({ detail: "Send application/json in UTF-8, or no body." })
  }
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    return yield* new UnsupportedMediaType({ detail: "Send the body without a Content-Encoding." })
  }
  return yield* Effect.mapError(bodyBytes(request, maxBytes), (error) => readFailure(error, maxBytes))
})

const utf8 = new TextDecoder("utf-8", { fatal: true })

const parse = (bytes: Uint8Array): Result.Result<unknown, string> => {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return Result.fail("The body is not UTF-8")
  }
  try {
    return Result.succeed(text === "" ? {} : JSON.parse(text))
  } catch {
    return Result.fail("The body is not JSON")
  }
}

/** The body as JSON, and how long it is. No body is `{}`; of duplicate keys the last one counts. */
export const readJson = Effect.fnUntraced(function* (maxBytes: number) {
  const bytes = yield* readBytes(yield* HttpServerRequest.HttpServerRequest, maxBytes)
  const parsed = parse(bytes)
  if (Result.isFailure(parsed)) return yield* malformed(parsed.failure)
  return { bytes: bytes.byteLength, json: parsed.success }
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

/**
 * Decodes JSON by a schema that allows no unknown keys, and fails with every issue at once: what breaks the schema, and
 * what cannot be kept as it is. Not `deep`, it leaves to others what is inside.
 */
export const decodeStrictly = <A, I>(schema: Schema.Codec<A, I>, { deep = true } = {}) => {
  const decode = Schema.decodeUnknownEffect(schema, { errors: "all", onExcessProperty: "error" })
  return Effect.fnUntraced(function* (json: unknown) {
    const { issues, tooDeep } = deep ? strictJson(json) : { issues: [], tooDeep: false }
    if (tooDeep) return yield* Effect.fail(issues)
    const decoded = yield* Effect.result(decode(json))
    if (Result.isFailure(decoded)) {
      const isReported = placesOf(issues)
      const others = requestIssues("body", decoded.failure)
      return yield* Effect.fail([...issues, ...others.filter(({ path }) => !isReported(path))])
    }
    return issues.length > 0 ? yield* Effect.fail(issues) : decoded.success
  })
}

/**
 * Reads the request's body by a schema. Not by HttpApi's own decoding, which neither sees the bytes nor tells an absent
 * body from a wrong media type.
 */
export const decodeJsonBody = <A, I>(schema: Schema.Codec<A, I>) => {
  const decode = decodeStrictly(schema)
  return Effect.gen(function* () {
    const { json } = yield* readJson(yield* MaxBodyBytes)
    return yield* Effect.mapError(decode(json), invalidRequest)
  })
}
