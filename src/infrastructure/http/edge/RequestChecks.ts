import type { HttpServerRequest } from "effect/http"
import { correlationIdHeader, isCorrelationId } from "../../../contract/CorrelationId.ts"
import type { RequestIssue } from "../../../contract/RequestErrors.ts"

const isPercentEncoded = (text: string) => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const issue = (part: RequestIssue["in"], path: RequestIssue["path"], message: string): RequestIssue => ({
  in: part,
  path,
  message
})

// RFC 9112, 3.2. Older clients, among them health checks of load balancers, may do without.
const needsHost = ({ source }: HttpServerRequest.HttpServerRequest) =>
  "httpVersion" in source && source.httpVersion === "1.1"

/**
 * What is wrong with a request before its route looks at it. Escapes of the address that are no UTF-8 would be
 * replaced when they are decoded, and then stand for another text than the client meant.
 */
export const headIssues = (
  request: HttpServerRequest.HttpServerRequest,
  isKey: (text: string) => boolean
): ReadonlyArray<RequestIssue> => {
  const issues: Array<RequestIssue> = []
  const correlationId = request.headers[correlationIdHeader]
  if (correlationId !== undefined) {
    const path = ["X-Correlation-Id"]
    if (!isCorrelationId(correlationId)) {
      issues.push(issue("header", path, "Expected 1 to 128 printable ASCII characters, not only spaces"))
    } else if (isKey(correlationId)) {
      issues.push(issue("header", path, "This is a key, and would be logged here"))
    }
  }
  if (request.headers["host"] === undefined && needsHost(request)) {
    issues.push(issue("header", ["Host"], "This header is missing"))
  }
  if (request.url.includes("%")) {
    const [path = "", ...query] = request.url.split("?")
    const message = "Expected % only before two hexadecimal digits, and UTF-8 behind them"
    if (!isPercentEncoded(path)) issues.push(issue("path", [], message))
    if (!isPercentEncoded(query.join("?"))) issues.push(issue("query", [], message))
  }
  return issues
}

const word = /^(?:[a-z.-]{1,15}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i

/** The path as logs may show it: words and ids; anything else in it could be a secret in the wrong place. */
export const loggedPath = (url: string): string =>
  (url.split("?", 1)[0] ?? "")
    .split("/")
    .map((segment) => (segment === "" || word.test(segment) ? segment : "…"))
    .slice(0, 10)
    .join("/")
