import { SecureRandom } from "effect/crypto"
import { STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"

const problems = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, "invalid-request", "The request took too long to arrive."],
  HPE_HEADER_OVERFLOW: [431, "too-large", "The headers are larger than 16384 bytes together."]
} as const
const malformed = [400, "invalid-request", "This is not an HTTP request."] as const

const isKnown = (code: string): code is keyof typeof problems => Object.hasOwn(problems, code)

/**
 * Answers what Node's parser gives up on before there is a request, in the same words as everything else:
 * Node's own answer has no body.
 */
export const answerBrokenRequest = (error: Error & { readonly code?: string }, socket: Duplex): void => {
  const { code = "" } = error
  if (code === "ECONNRESET" || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, type, detail] = isKnown(code) ? problems[code] : malformed
  const title = STATUS_CODES[status] ?? "Bad Request"
  const body = JSON.stringify({ type: `urn:order-platform:${type}`, title, status, detail, errors: [] })
  socket.end(
    [
      `HTTP/1.1 ${status} ${title}`,
      "content-type: application/problem+json",
      `content-length: ${Buffer.byteLength(body)}`,
      "cache-control: no-store",
      "x-content-type-options: nosniff",
      `x-correlation-id: ${SecureRandom.uuidV4Unsafe()}`,
      "connection: close",
      "",
      body
    ].join("\r\n")
  )
}
