import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { correlationIdHeader } from "../../../contract/CorrelationId.ts"
import { protectiveHeaders } from "../edge/ResponseHeaders.ts"
import { answerStarting, correlationIdOf } from "./NodeAnswers.ts"

/** How long a request waits for the routes. A start takes less time unless it waits for the database. */
const waitLimitMs = 1000

const isLivenessCheck = ({ method, url = "" }: IncomingMessage) =>
  (method === "GET" || method === "HEAD") && /^\/health\/live\/?(?:\?|$)/.test(url)

const answerAlive = (request: IncomingMessage, response: ServerResponse) => {
  const headers = {
    ...protectiveHeaders,
    "content-type": "application/json",
    [correlationIdHeader]: correlationIdOf(request)
  }
  response.writeHead(200, headers).end(JSON.stringify({ status: "up" }))
}

/**
 * Holds the requests that arrive before the routes are served, and then passes them to the routes. A request that waits
 * longer than a second, for example while the database is unavailable, is answered 503. `GET /health/live` is answered
 * 200 at once.
 */
export const keepEarlyRequests = (server: Server): void => {
  const early = new Map<
    ServerResponse,
    { readonly request: IncomingMessage; readonly timer: NodeJS.Timeout }
  >()
  const keep = (request: IncomingMessage, response: ServerResponse) => {
    if (isLivenessCheck(request)) return answerAlive(request, response)
    const onTimeout = () => {
      early.delete(response)
      answerStarting(request, response)
    }
    // A timer of Node, like the server's own limits, because no fiber runs here.
    early.set(response, { request, timer: setTimeout(onTimeout, waitLimitMs) })
  }
  const passOn = (event: string) => {
    if (event !== "request") return
    server.off("newListener", passOn).off("request", keep)
    for (const { timer } of early.values()) clearTimeout(timer)
    // `newListener` is emitted before the listener is added. No request can arrive in between.
    process.nextTick(() => {
      for (const [response, { request }] of early) {
        if (!response.destroyed) server.emit("request", request, response)
      }
    })
  }
  server.on("request", keep).on("newListener", passOn)
}
