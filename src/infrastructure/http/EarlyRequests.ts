import { SecureRandom } from "effect/crypto"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { protectiveHeaders } from "./AnswerHeaders.ts"
import { answerNotYet } from "./BrokenRequests.ts"

/** How long a request waits for the routes: a start takes less, unless it waits for its database. */
const patienceMs = 1000

const asksWhetherAlive = ({ method, url = "" }: IncomingMessage) =>
  (method === "GET" || method === "HEAD") && /^\/health\/live\/?(?:\?|$)/.test(url)

const answerAlive = (response: ServerResponse) => {
  const headers = {
    ...protectiveHeaders,
    "content-type": "application/json",
    "x-correlation-id": SecureRandom.uuidV4Unsafe()
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
    if (asksWhetherAlive(request)) return answerAlive(response)
    const notYet = () => {
      early.delete(response)
      answerNotYet(response)
    }
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
