import { Context } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"

/** Origins whose pages may call this server from a browser, as browsers write them; none by default. */
export const CorsOrigins = Context.Reference<ReadonlyArray<string>>(
  "order-platform/infrastructure/http/CorsOrigins",
  { defaultValue: () => [] }
)

/**
 * What every answer carries against caches, sniffers and pages that embed it: nothing here is a document to run
 * anything in. An answer that is one says so with a policy of its own.
 */
export const protectiveHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

const readable = "ETag, Idempotency-Replayed, Link, Location, Retry-After, X-Correlation-Id"
const sendable =
  "Authorization, B3, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, Traceparent, X-Correlation-Id"
const preflightSeconds = "600"

/**
 * What tells a browser that a page of another origin may read the answer (https://fetch.spec.whatwg.org, CORS): only for
 * the origins set, compared as a whole. A preflight is the OPTIONS of the path, so it needs no key, and its `Allow` is
 * what may be sent. Keys are sent by the page itself and not by the browser, so there are no credentials to allow.
 */
export const corsHeaders = (
  origins: ReadonlyArray<string>,
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): Record<string, string> => {
  if (origins.length === 0) return {}
  const { "access-control-request-method": asked, origin } = request.headers
  const vary = { vary: "Origin" }
  if (origin === undefined || !origins.includes(origin)) return vary
  const { allow } = response.headers
  const isPreflight = request.method === "OPTIONS" && asked !== undefined && allow !== undefined
  return {
    ...vary,
    "access-control-allow-origin": origin,
    "access-control-expose-headers": readable,
    ...(isPreflight && {
      "access-control-allow-methods": allow,
      "access-control-allow-headers": sendable,
      "access-control-max-age": preflightSeconds
    })
  }
}
