import { Duration } from "effect"
import { createServer } from "node:http"
import { answerBrokenRequest, answerConnect, answerExpectation } from "./NodeAnswers.ts"

/**
 * A server of Node with limits against slow clients. `requestTimeout` is longer than the time limit of a handler, so
 * the client of a slow handler gets an answer before its connection is closed.
 */
export const makeNodeServer = (handlerLimit: Duration.Duration) => {
  const handlerMs = Duration.toMillis(handlerLimit)
  const headersTimeout = Math.min(10_000, Math.max(1000, handlerMs))
  const requestTimeout = headersTimeout + handlerMs + 5000
  const server = createServer({
    // Disconnects a client that sends its headers or its whole request too slowly (slowloris).
    headersTimeout,
    requestTimeout,
    connectionsCheckingInterval: 1000,
    // Longer than the 60 s for which load balancers keep idle connections, so that the load balancers close
    // them first.
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
    // A request without Host is passed to the routes, which answer it with a problem (RFC 9457).
    requireHostHeader: false,
    // No upgrade to another protocol is supported.
    shouldUpgradeCallback: () => false
  })
  // Disconnects a client that has stopped reading its response, which none of the limits above covers. This
  // limit is longer than the keep-alive interval of event streams, so that a stream without events stays
  // open.
  server.setTimeout(requestTimeout + 60_000)
  // Further connections are closed at once, so that a flood cannot use up the file descriptors of the process.
  server.maxConnections = 10_000
  server.on("clientError", answerBrokenRequest)
  server.on("connect", answerConnect)
  server.on("checkExpectation", answerExpectation)
  return server
}
