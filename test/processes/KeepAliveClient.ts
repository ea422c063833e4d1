import { Effect } from "effect"
import * as http from "node:http"
import type { Socket } from "node:net"

/** The outcome of one request as the client saw it. */
export interface Seen {
  /** The status, or the code of the connection's error. */
  readonly outcome: number | string
  readonly body: string
  readonly retryAfter: boolean
  /** Whether the answer carried `Connection: close`. */
  readonly closes: boolean
  readonly socket: Socket | undefined
}

/** A client with one keep-alive connection. */
export const keepAliveClient = (port: number) => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const post = (body: unknown): Promise<Seen> =>
    new Promise((resolve) => {
      const request = http.request({
        port,
        host: "127.0.0.1",
        agent,
        method: "POST",
        path: "/orders",
        headers: { "content-type": "application/json" }
      })
      const broken = (error: Error & { readonly code?: string }) =>
        resolve({
          outcome: error.code ?? error.message,
          body: "",
          retryAfter: false,
          closes: false,
          socket: request.socket ?? undefined
        })
      request.on("error", broken)
      request.on("response", (response) => {
        let text = ""
        const { socket } = response
        response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk))
        response.on("error", broken)
        response.on("end", () =>
          resolve({
            outcome: response.statusCode ?? 0,
            body: text,
            retryAfter: response.headers["retry-after"] !== undefined,
            closes: response.headers["connection"] === "close",
            socket
          })
        )
      })
      request.end(JSON.stringify(body))
    })
  return { post: (body: unknown) => Effect.promise(() => post(body)), close: () => agent.destroy() }
}
