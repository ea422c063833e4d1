import type { HttpServerRequest } from "effect/http"
import type { InvalidRequest, RequestIssue } from "../../../contract/RequestErrors.ts"
import { invalidRequest } from "../body/RequestIssues.ts"

/** One thing that is wrong with a header. */
export const headerIssue = (name: string, message: string): RequestIssue => ({
  in: "header",
  path: [name],
  message
})

const isPercentEncoded = (text: string) => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

// An escape that is not UTF-8 would be replaced when it is decoded, and then stand for another text than was sent.
const escapeIssues = (url: string): ReadonlyArray<RequestIssue> => {
  if (!url.includes("%")) return []
  const [path = "", ...query] = url.split("?")
  const message = "Expected % only before two hexadecimal digits, and UTF-8 behind them"
  return [
    ...(isPercentEncoded(path) ? [] : [{ in: "path" as const, path: [], message }]),
    ...(isPercentEncoded(query.join("?")) ? [] : [{ in: "query" as const, path: [], message }])
  ]
}

// RFC 9112, 3.2. Older clients, such as health checks of load balancers, may send none.
const lacksHost = ({ headers, source }: HttpServerRequest.HttpServerRequest) =>
  headers["host"] === undefined && "httpVersion" in source && source.httpVersion === "1.1"

/** The problem of a request whose head is malformed, with these issues and all others; null for a good one. */
export const checkHead = (
  request: HttpServerRequest.HttpServerRequest,
  found: ReadonlyArray<RequestIssue>
): InvalidRequest | null => {
  const missing = lacksHost(request) ? [headerIssue("Host", "This header is missing")] : []
  const issues = [...found, ...missing, ...escapeIssues(request.url)]
  return issues.length === 0 ? null : invalidRequest(issues)
}

const word = String.raw`[a-z.-]{1,15}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`
const harmlessPath = new RegExp(`^(?:/(?:${word})?){1,9}$`, "i")
const harmlessSegment = new RegExp(`^(?:${word})?$`, "i")

/** The path as logs may show it: words and ids; anything else in it could be a secret in the wrong place. */
export const loggedPath = (url: string): string => {
  const [path = ""] = url.split("?", 1)
  if (harmlessPath.test(path)) return path
  return path
    .split("/")
    .map((segment) => (harmlessSegment.test(segment) ? segment : "…"))
    .slice(0, 10)
    .join("/")
}
