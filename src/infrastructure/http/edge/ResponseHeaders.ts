import { Context } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { correlationIdHeader } from "../../../contract/CorrelationId.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** Origins whose pages may call this server from a browser, in the form of the header `Origin`; none by default. */
export const CorsOrigins = Context.Reference<ReadonlyArray<string>>(
  "order-platform/infrastructure/http/CorsOrigins",
  { defaultValue: () => [] }
)

/**
 * The headers of every response against caching, content sniffing and embedding in other pages. An HTML page
 * has its own Content-Security-Policy instead.
 */
export const protectiveHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

// The server closes the connection instead of waiting for the rest of a chunked body, whose length is
// unknown. For a body with a Content-Length, Node decides whether to read the rest.
const isUnread = ({ headers, source }: Request) =>
  headers["transfer-encoding"] !== undefined && "complete" in source && source.complete === false

/**
 * Adds the headers that every response has: the correlation id, the protective ones unless the response has its own,
 * `WWW-Authenticate` to each 401, `Retry-After` to each 503, and those of CORS.
 */
export const addHeaders =
  (request: Request, correlationId: string, corsOrigins: ReadonlyArray<string>) =>
  (response: Response): Response => {
    const headers: Record<string, string> = { ...protectiveHeaders, [correlationIdHeader]: correlationId }
    const {
      "cache-control": cacheControl,
      "content-security-policy": policy,
      "retry-after": retryAfter
    } = response.headers
    if (cacheControl !== undefined) headers["cache-control"] = cacheControl
    if (policy !== undefined) headers["content-security-policy"] = policy
    if (response.status === 401) headers["www-authenticate"] = "Bearer"
    if (response.status === 503 && retryAfter === undefined) headers["retry-after"] = "1"
    if (isUnread(request)) headers["connection"] = "close"
    return HttpServerResponse.setHeaders(
      response,
      corsOrigins.length === 0 ? headers : { ...headers, ...corsHeaders(corsOrigins, request, response) }
    )
  }

const readable = "ETag, Idempotency-Replayed, Link, Location, Retry-After, X-Correlation-Id"
const sendable =
  "Authorization, B3, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, Traceparent, X-Correlation-Id"
const preflightSeconds = "600"

/**
 * The headers that let a page of a configured origin read the response (Fetch Standard, CORS protocol). A
 * preflight is answered by the OPTIONS route of the path, which needs no key and whose `Allow` has the
 * methods. `Access-Control-Allow-Credentials` is not sent, because the page itself adds the key to its
 * requests, not the browser.
 */
const corsHeaders = (
  origins: ReadonlyArray<string>,
  request: Request,
  response: Response
): Record<string, string> => {
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
