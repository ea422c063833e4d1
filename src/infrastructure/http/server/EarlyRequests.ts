import { SecureRandom } from "effect/crypto"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { protectiveHeaders } from "../edge/ResponseHeaders.ts"
import { answerNotYet } from "./BrokenRequests.ts"
import { correlationIdHeader, isCorrelationId } from "../../../contract/CorrelationId.ts"

/** How long a request waits for the routes: a start takes less, unless it waits for its database. */
const patienceMs = 1000

const asksWhetherAlive = ({ method, url = "" }: IncomingMessage) =>
  (method === "GET" || method === "HEAD") && /^\/health\/live\/?(?:\?|$)/.test(url)

const correlationIdOf = ({ headers }: IncomingMessage): string => {
  const given = headers[correlationIdHeader]
  return typeof given === "string" && isCorrelationId(given) ? given : SecureRandom.uuidV4Unsafe()
}

const answerAlive = (response: ServerResponse, correlationId: string) => {
  const headers = {
    ...protectiveHeaders,
    "content-type": "application/json",
    [correlationIdHeader]: correlationId
  }
  response.writeHead(200, headers).end(JSON.stringify({ status: "up" }))
}

/**
 * Requests between the moment the server listens and the moment the routes take them would reach nobody, and wait for
 * ever: they are kept, and given to whoever takes requests first. Where the routes are long in coming, as they are while
 * the database is away, they are answered 503. That the process is alive is true from the first moment on.
 */
export const keepEarlyRequests = (server: Server): void => {
  const early = new Map<
    ServerResponse,
    { readonly request: IncomingMessage; readonly timer: NodeJS.Timeout }
  >()
  const keep = (request: IncomingMessage, response: ServerResponse) => {
    if (asksWhetherAlive(request)) return answerAlive(response, correlationIdOf(request))
    const notYet = () => {
      early.delete(response)
      answerNotYet(response, correlationIdOf(request))
    }
    // By Node's timer, like the server's own limits: there is no program yet whose clock it could be.
    early.set(response, { request, timer: setTimeout(notYet, patienceMs) })
  }
  const handOver = (event: string) => {
    if (event !== "request") return
    server.off("newListener", handOver).off("request", keep)
    for (const { timer } of early.values()) clearTimeout(timer)
    // Now it is only about to be added; nothing can come in between.
    process.nextTick(() => {
      for (const [response, { request }] of early) {
        if (!response.destroyed) server.emit("request", request, response)
      }
    })
  }
  server.on("request", keep).on("newListener", handOver)
}
