import { SecureRandom } from "effect/crypto"
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { correlationIdHeader, isCorrelationId } from "../../../contract/CorrelationId.ts"
import { protectiveHeaders } from "../edge/ResponseHeaders.ts"

// Responses to requests that never reach the routes, or whose handler did not end before shutdown. They have
// the same form as all other responses.

type Problem = readonly [status: number, type: string, detail: string]

const problems = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, "invalid-request", "The request took too long to arrive."],
  HPE_HEADER_OVERFLOW: [
    431,
    "too-large",
    "The request line and the headers together are larger than 16384 bytes."
  ]
} as const satisfies Record<string, Problem>
const malformed: Problem = [400, "invalid-request", "This is not an HTTP request."]
const noProxy: Problem = [405, "method-not-allowed", "This server is not a proxy: CONNECT is not allowed."]
const unexpected: Problem = [417, "invalid-request", "The only supported Expect is 100-continue."]
const starting: Problem = [503, "unavailable", "The process is starting and waits for its database."]
const unknownOutcome: Problem = [
  503,
  "unavailable",
  "The process stopped before the request was done. It is unknown whether it had an effect, such as a stored order: check before you repeat it."
]
const notReceived: Problem = [
  503,
  "unavailable",
  "The process stopped before it had received the whole request. The request had no effect."
]

const isKnown = (code: string): code is keyof typeof problems => Object.hasOwn(problems, code)

/** The correlation id that the client gave, or a new one. */
export const correlationIdOf = ({ headers }: IncomingMessage): string => {
  const given = headers[correlationIdHeader]
  return typeof given === "string" && isCorrelationId(given) ? given : SecureRandom.uuidV4Unsafe()
}

const answerOf = ([status, type, detail]: Problem, correlationId = SecureRandom.uuidV4Unsafe()) => {
  const title = STATUS_CODES[status] ?? "Bad Request"
  const errors = type === "invalid-request" ? { errors: [] } : {}
  const body = JSON.stringify({ type: `urn:order-platform:${type}`, title, status, detail, ...errors })
  const headers = {
    "content-type": "application/problem+json",
    "content-length": String(Buffer.byteLength(body)),
    ...protectiveHeaders,
    [correlationIdHeader]: correlationId,
    connection: "close"
  }
  return { status, title, headers, body }
}

const closeWith = (socket: Duplex, problem: Problem, more: Readonly<Record<string, string>> = {}) => {
  const { body, headers, status, title } = answerOf(problem)
  const lines = Object.entries({ ...headers, ...more }).map(([name, value]) => `${name}: ${value}`)
  socket.end([`HTTP/1.1 ${status} ${title}`, ...lines, "", body].join("\r\n"))
}

const answerWith = (
  request: IncomingMessage,
  response: ServerResponse,
  problem: Problem,
  more: Readonly<Record<string, string>> = {}
) => {
  const { body, headers, status } = answerOf(problem, correlationIdOf(request))
  response.writeHead(status, { ...headers, ...more }).end(body)
}

/** Answers input that Node's parser rejects. Node's own response would have no body. */
export const answerBrokenRequest = (error: Error & { readonly code?: string }, socket: Duplex): void => {
  const { code = "" } = error
  if (code === "ECONNRESET" || !socket.writable) socket.destroy()
  else closeWith(socket, isKnown(code) ? problems[code] : malformed)
}

/**
 * Answers CONNECT with 405, like any other method that is not allowed. For CONNECT, Node passes a socket and
 * no `ServerResponse`.
 */
export const answerConnect = (_: IncomingMessage, socket: Duplex): void =>
  closeWith(socket, noProxy, { allow: "" })

/** Answers an `Expect` that is not supported. */
export const answerExpectation = (request: IncomingMessage, response: ServerResponse): void =>
  answerWith(request, response, unexpected)

/** Answers a request that arrives while the process waits for its database at start. */
export const answerStarting = (request: IncomingMessage, response: ServerResponse): void =>
  answerWith(request, response, starting, { "retry-after": "1" })

/**
 * Answers a request whose handler did not end before shutdown. There is no `Retry-After` if the outcome is unknown,
 * because a repetition could store an order twice.
 */
export const answerUnknownOutcome = (request: IncomingMessage, response: ServerResponse): void =>
  request.complete
    ? answerWith(request, response, unknownOutcome)
    : answerWith(request, response, notReceived, { "retry-after": "1" })
