import { Server as NetServer, type Socket } from "node:net"
import type { IncomingMessage, Server, ServerResponse } from "node:http"

/** The connections and running requests of a server, and the steps in which it stops. */
export interface OpenConnections {
  /** From now on every answer carries `Connection: close`, those of running requests included. */
  readonly closeAfterAnswer: () => void
  /** Accepts no more connections; `onClosed` is called once the last open one has closed. */
  readonly stopListening: (onClosed: () => void) => void
  /** Closes the connections on which no request is running or arriving. */
  readonly closeIdle: () => void
  /** Answers every running request that has no answer yet. */
  readonly answerRunning: (answer: (request: IncomingMessage, response: ServerResponse) => void) => void
  /** Cuts whatever is still open. */
  readonly closeAll: () => void
}

/** Tracks the connections of a server from its creation on. */
export const trackConnections = (server: Server): OpenConnections => {
  const sockets = new Set<Socket>()
  const running = new Set<ServerResponse>()
  let closing = false

  // Of pipelined requests only the last may close the connection, or the answers after it would be lost.
  const keepsAlive = (response: ServerResponse, keepAlive: boolean) => {
    if (!response.headersSent) response.shouldKeepAlive = keepAlive
  }
  const lastOf = (socket: Socket) => [...running].findLast((response) => response.req.socket === socket)
  const track = (_request: IncomingMessage, response: ServerResponse) => {
    if (closing) {
      const previous = lastOf(response.req.socket)
      if (previous !== undefined) keepsAlive(previous, true)
      keepsAlive(response, false)
    }
    running.add(response)
    response.on("close", () => running.delete(response))
  }
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  server.on("request", track)
  server.on("checkContinue", (request, response) => {
    track(request, response)
    // Node continues by itself only where nothing listens for this event: until the routes do, this does it in their place.
    if (server.listenerCount("checkContinue") > 1) return
    response.writeContinue()
    server.emit("request", request, response)
  })

  return {
    closeAfterAnswer: () => {
      closing = true
      const lastBySocket = new Map([...running].map((response) => [response.req.socket, response]))
      for (const response of lastBySocket.values()) keepsAlive(response, false)
    },
    stopListening: (onClosed) => {
      // Not by http.Server.close, which also cuts idle connections at once: a client may just be sending on them.
      NetServer.prototype.close.call(server, onClosed)
    },
    closeIdle: () => {
      server.closeIdleConnections()
      // Node counts a connection on which nothing has arrived yet as active.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    },
    answerRunning: (answer) => {
      for (const response of running) if (!response.headersSent) answer(response.req, response)
    },
    closeAll: () => server.closeAllConnections()
  }
}
