import type { HttpServerRequest } from "effect/http"
import type { InvalidRequest, RequestIssue } from "../../../contract/RequestErrors.ts"
import { invalidRequest } from "../body/RequestIssues.ts"

/** An issue of a header. */
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

// An escape that is not UTF-8 is refused, because decoding it would change the text that the client sent.
const escapeIssues = (url: string): ReadonlyArray<RequestIssue> => {
  if (!url.includes("%")) return []
  const [path = "", ...query] = url.split("?")
  const message = "Expected two hexadecimal digits after each %, and escapes that are UTF-8"
  return [
    ...(isPercentEncoded(path) ? [] : [{ in: "path" as const, path: [], message }]),
    ...(isPercentEncoded(query.join("?")) ? [] : [{ in: "query" as const, path: [], message }])
  ]
}

// RFC 9112, 3.2: HTTP/1.1 requires `Host`. HTTP/1.0 clients, such as health checks of load balancers, may
// send none.
const lacksHost = ({ headers, source }: HttpServerRequest.HttpServerRequest) =>
  headers["host"] === undefined && "httpVersion" in source && source.httpVersion === "1.1"

/**
 * The problem of a request with a malformed head. It lists the issues in `found` and all issues that are
 * found here; null if there are no issues.
 */
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

/** The path for logs. Segments other than words and ids are left out, because they may be misplaced secrets. */
export const loggedPath = (url: string): string => {
  const [path = ""] = url.split("?", 1)
  if (harmlessPath.test(path)) return path
  return path
    .split("/")
    .map((segment) => (harmlessSegment.test(segment) ? segment : "…"))
    .slice(0, 10)
    .join("/")
}
