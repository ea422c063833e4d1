import { SecureRandom } from "effect/crypto"
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { protectiveHeaders } from "../edge/ResponseHeaders.ts"
import { correlationIdHeader } from "../../../contract/CorrelationId.ts"

type Words = readonly [status: number, type: string, detail: string]

const problems = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, "invalid-request", "The request took too long to arrive."],
  HPE_HEADER_OVERFLOW: [431, "too-large", "The address and the headers are larger than 16384 bytes together."]
} as const satisfies Record<string, Words>
const malformed: Words = [400, "invalid-request", "This is not an HTTP request."]
const noProxy: Words = [405, "method-not-allowed", "This is no proxy: CONNECT is allowed nowhere."]
const unexpected: Words = [417, "invalid-request", "Expect knows 100-continue only."]

const notYet: Words = [503, "unavailable", "The process is starting and waits for its database."]

const isKnown = (code: string): code is keyof typeof problems => Object.hasOwn(problems, code)

const answerOf = ([status, type, detail]: Words) => {
  const title = STATUS_CODES[status] ?? "Bad Request"
  const errors = type === "invalid-request" ? { errors: [] } : {}
  const body = JSON.stringify({ type: `urn:order-platform:${type}`, title, status, detail, ...errors })
  const headers = {
    "content-type": "application/problem+json",
    "content-length": String(Buffer.byteLength(body)),
    ...protectiveHeaders,
    [correlationIdHeader]: SecureRandom.uuidV4Unsafe(),
    connection: "close"
  }
  return { status, title, headers, body }
}

const closeWith = (socket: Duplex, words: Words, more: Readonly<Record<string, string>> = {}) => {
  const { body, headers, status, title } = answerOf(words)
  const lines = Object.entries({ ...headers, ...more }).map(([name, value]) => `${name}: ${value}`)
  socket.end([`HTTP/1.1 ${status} ${title}`, ...lines, "", body].join("\r\n"))
}

/**
 * Answers what Node's parser gives up on before there is a request, in the same words as everything else:
 * Node's own answer has no body.
 */
export const answerBrokenRequest = (error: Error & { readonly code?: string }, socket: Duplex): void => {
  const { code = "" } = error
  if (code === "ECONNRESET" || !socket.writable) socket.destroy()
  else closeWith(socket, isKnown(code) ? problems[code] : malformed)
}

/** Answers CONNECT, which Node hands over as a bare socket, like any other method that is not allowed. */
export const answerConnect = (_: IncomingMessage, socket: Duplex): void =>
  closeWith(socket, noProxy, { allow: "" })

/** Answers an `Expect` that nobody can fulfil. */
export const answerExpectation = (_: IncomingMessage, response: ServerResponse): void => {
  const { body, headers, status } = answerOf(unexpected)
  response.writeHead(status, headers).end(body)
}

/** Answers a request that the process can do nothing for yet. */
export const answerNotYet = (response: ServerResponse, correlationId: string): void => {
  const { body, headers, status } = answerOf(notYet)
  response
    .writeHead(status, { ...headers, [correlationIdHeader]: correlationId, "retry-after": "1" })
    .end(body)
}
