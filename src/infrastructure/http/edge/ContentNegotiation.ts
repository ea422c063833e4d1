import { Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApi, type HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { AcceptableAnswers } from "../../../contract/Middleware.ts"
import { NotAcceptable } from "../../../contract/RequestErrors.ts"

/** The media types of an endpoint's answer when all goes well, as its document says; none where there is no body. */
const mediaTypesOf = (endpoint: HttpApiEndpoint.Top): ReadonlyArray<string> => {
  const alone = HttpApi.make("alone").add(HttpApiGroup.make("alone").add(endpoint))
  return Object.values(OpenApi.fromApi(alone).paths)
    .flatMap((operations) => Object.values(operations as Record<string, OpenApi.OpenAPISpecOperation>))
    .flatMap(({ responses }) => Object.entries(responses))
    .filter(([status]) => status.startsWith("2"))
    .flatMap(([, { content }]) => Object.keys(content ?? {}))
    .map((type) => (type.split(";", 1)[0] ?? "").trim().toLowerCase())
}

const range = /^\s*([^\s;,/]+\/[^\s;,/]+)\s*(?:;.*)?$/
const nothing = /;\s*q\s*=\s*0(?:\.0{0,3})?\s*(?:;|$)/i

/**
 * Whether a client with this `Accept` takes this media type (RFC 9110, 12.5.1): the closest range decides. Parameters
 * other than q are not looked at, and what is no range is passed over: a header without any asks for nothing.
 */
export const accepts = (accept: string, type: string): boolean => {
  const ranges = new Map<string, boolean>()
  for (const part of accept.split(",")) {
    const name = range.exec(part)?.[1]?.toLowerCase()
    if (name !== undefined) ranges.set(name, !nothing.test(part))
  }
  if (ranges.size === 0) return true
  const [family = ""] = type.split("/")
  return ranges.get(type) ?? ranges.get(`${family}/*`) ?? ranges.get("*/*") ?? false
}

/** What a client is told that takes none of these media types. */
export const notAcceptable = (types: ReadonlyArray<string>) =>
  new NotAcceptable({ message: `The answer is ${types.join(" or ")}.` })

/** Answers 406 where the client accepts none of the media types of the endpoint. */
export const ContentNegotiation = {
  layer: Layer.sync(AcceptableAnswers, () => {
    const known = new WeakMap<HttpApiEndpoint.Top, ReadonlyArray<string>>()
    return Effect.fnUntraced(function* (answer, { endpoint }) {
      const { accept } = (yield* HttpServerRequest.HttpServerRequest).headers
      if (accept === undefined || accept === "*/*") return yield* answer
      const types = known.get(endpoint) ?? mediaTypesOf(endpoint)
      known.set(endpoint, types)
      if (types.length === 0 || types.some((type) => accepts(accept, type))) return yield* answer
      return yield* notAcceptable(types)
    })
  })
}
