import { Server as NetServer, type Socket } from "node:net"
import type { IncomingMessage, Server, ServerResponse } from "node:http"

/**
 * The responses that are not finished. They are kept in an array and not in a Set: V8 keeps the entries that
 * were removed from a Set in old hash tables until a full garbage collection. docs/adr/0007 has the figures of
 * garbage that is kept alive.
 */
class RunningResponses {
  readonly #entries: Array<{ readonly response: ServerResponse; readonly number: number } | null> = []
  readonly #free: Array<number> = []
  #count = 0

  add(response: ServerResponse): void {
    const index = this.#free.pop() ?? this.#entries.length
    this.#entries[index] = { response, number: this.#count++ }
    response.on("close", () => {
      this.#entries[index] = null
      this.#free.push(index)
    })
  }

  /** The responses, in the sequence in which their requests arrived. */
  inOrder(): ReadonlyArray<ServerResponse> {
    return this.#entries
      .filter((entry) => entry !== null)
      .sort((a, b) => a.number - b.number)
      .map(({ response }) => response)
  }
}

/** The connections and running requests of a server, and the steps of its shutdown. */
export class OpenConnections {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #running = new RunningResponses()
  #closing = false

  constructor(server: Server) {
    this.#server = server
    server.on("connection", (socket) => {
      this.#sockets.add(socket)
      socket.on("close", () => this.#sockets.delete(socket))
    })
    server.on("request", this.#track)
    server.on("checkContinue", (request, response) => {
      this.#track(request, response)
      // Node sends `100 Continue` itself only if this event has no listener. Until the routes have added
      // their listener, this listener sends it.
      if (server.listenerCount("checkContinue") > 1) return
      response.writeContinue()
      server.emit("request", request, response)
    })
  }

  readonly #track = (_request: IncomingMessage, response: ServerResponse) => {
    if (this.#closing) {
      const { socket } = response.req
      const previous = this.#running.inOrder().findLast((each) => each.req.socket === socket)
      if (previous !== undefined) keepAlive(previous, true)
      keepAlive(response, false)
    }
    this.#running.add(response)
  }

  /** From now on every response carries `Connection: close`, also those of running requests. */
  closeAfterAnswer(): void {
    this.#closing = true
    // Only the last of pipelined requests may close the connection, or later responses would be lost.
    const lastBySocket = new Map(this.#running.inOrder().map((response) => [response.req.socket, response]))
    for (const response of lastBySocket.values()) keepAlive(response, false)
  }

  /** Accepts no more connections; `onClosed` is called once the last open connection has closed. */
  stopListening(onClosed: () => void): void {
    // http.Server.close is not used, because it also closes idle connections at once, on which a client may be sending
    // a request.
    NetServer.prototype.close.call(this.#server, onClosed)
  }

  /** Closes the connections on which no request is running or arriving. */
  closeIdle(): void {
    this.#server.closeIdleConnections()
    // Node counts a connection on which nothing has arrived yet as active.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }

  /** Answers every running request that has no answer yet. */
  answerRunning(answer: (request: IncomingMessage, response: ServerResponse) => void): void {
    for (const response of this.#running.inOrder()) if (!response.headersSent) answer(response.req, response)
  }

  /** Closes every connection that is still open. */
  closeAll(): void {
    this.#server.closeAllConnections()
  }
}

const keepAlive = (response: ServerResponse, value: boolean) => {
  if (!response.headersSent) response.shouldKeepAlive = value
}
