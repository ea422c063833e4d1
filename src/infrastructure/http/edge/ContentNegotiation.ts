import type { HttpServerRequest } from "effect/http"
import { HttpApi, type HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { NotAcceptable } from "../../../contract/RequestErrors.ts"

/**
 * The media types of an endpoint's successful response, as in the OpenAPI document; none if the response has no body.
 */
export const mediaTypesOf = (endpoint: HttpApiEndpoint.Top): ReadonlyArray<string> => {
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
 * Whether this `Accept` accepts a media type (RFC 9110, 12.5.1): the most specific range decides. Malformed
 * ranges are ignored, and so are all parameters except q. A header without a valid range accepts everything.
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

/**
 * Refuses a request that accepts none of the media types of the response. If the response has no body, it has
 * no media type, and the request is not refused.
 */
export const negotiate = (
  mediaTypes: () => ReadonlyArray<string>,
  { headers: { accept } }: HttpServerRequest.HttpServerRequest
): NotAcceptable | null => {
  if (accept === undefined || accept === "*/*") return null
  const types = mediaTypes()
  if (types.length === 0 || types.some((type) => accepts(accept, type))) return null
  return new NotAcceptable({ message: `The response is ${types.join(" or ")}.` })
}
