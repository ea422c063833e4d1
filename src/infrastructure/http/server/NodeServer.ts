import { Duration } from "effect"
import { createServer } from "node:http"
import { answerBrokenRequest, answerConnect, answerExpectation } from "./NodeAnswers.ts"

/** A server of Node with limits against slow clients; they are above the time limit of the handlers, which answers first. */
export const makeNodeServer = (handlerLimit: Duration.Duration) => {
  const handlerMs = Duration.toMillis(handlerLimit)
  const headersTimeout = Math.min(10_000, Math.max(1000, handlerMs))
  const requestTimeout = headersTimeout + handlerMs + 5000
  const server = createServer({
    // Cuts a client that sends its headers, or its whole request, slowly (slowloris).
    headersTimeout,
    requestTimeout,
    connectionsCheckingInterval: 1000,
    // Above the 60 s for which load balancers keep idle connections, so that they close them first.
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
    // A missing Host is answered by our routes, as a problem.
    requireHostHeader: false,
    // No upgrade to another protocol is offered.
    shouldUpgradeCallback: () => false
  })
  // Cuts a client that has stopped reading its answer, which none of the limits above covers; it is above the
  // keep-alive of event streams, so that a quiet one is not cut.
  server.setTimeout(requestTimeout + 60_000)
  // Connections beyond these are closed at once: a flood must not use up the file descriptors of the process.
  server.maxConnections = 10_000
  server.on("clientError", answerBrokenRequest)
  server.on("connect", answerConnect)
  server.on("checkExpectation", answerExpectation)
  return server
}
