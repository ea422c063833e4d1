import type { IncomingMessage, Server, ServerResponse } from "node:http"

/**
 * Requests between the moment the server listens and the moment the routes take them would reach nobody, and wait for
 * ever: they are kept, and given to whoever takes requests first.
 */
export const keepEarlyRequests = (server: Server): void => {
  const early: Array<readonly [IncomingMessage, ServerResponse]> = []
  const keep = (request: IncomingMessage, response: ServerResponse) => void early.push([request, response])
  const handOver = (event: string) => {
    if (event !== "request") return
    server.off("newListener", handOver).off("request", keep)
    // Now it is only about to be added; nothing can come in between.
    process.nextTick(() => {
      for (const [request, response] of early) {
        if (!response.destroyed) server.emit("request", request, response)
      }
    })
  }
  server.on("request", keep).on("newListener", handOver)
}
