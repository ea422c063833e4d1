import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { correlationIdHeader } from "../../../contract/CorrelationId.ts"
import { protectiveHeaders } from "../edge/ResponseHeaders.ts"
import { answerStarting, correlationIdOf } from "./NodeAnswers.ts"

/** How long a request waits for the routes: a start is faster, unless it waits for its database. */
const waitLimitMs = 1000

const asksWhetherAlive = ({ method, url = "" }: IncomingMessage) =>
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
 * Keeps the requests that arrive after the server listens and before the routes are served, and passes them on to the
 * routes. Those that wait longer than a second, as they do while the database is away, are answered 503.
 * `GET /health/live` is answered 200 from the first moment on.
 */
export const keepEarlyRequests = (server: Server): void => {
  const early = new Map<
    ServerResponse,
    { readonly request: IncomingMessage; readonly timer: NodeJS.Timeout }
  >()
  const keep = (request: IncomingMessage, response: ServerResponse) => {
    if (asksWhetherAlive(request)) return answerAlive(request, response)
    const giveUp = () => {
      early.delete(response)
      answerStarting(request, response)
    }
    // A timer of Node, like the server's own limits: there is no fiber yet whose clock it could use.
    early.set(response, { request, timer: setTimeout(giveUp, waitLimitMs) })
  }
  const passOn = (event: string) => {
    if (event !== "request") return
    server.off("newListener", passOn).off("request", keep)
    for (const { timer } of early.values()) clearTimeout(timer)
    // This event comes before the listener is added; no request can come in between.
    process.nextTick(() => {
      for (const [response, { request }] of early) {
        if (!response.destroyed) server.emit("request", request, response)
      }
    })
  }
  server.on("request", keep).on("newListener", passOn)
}
