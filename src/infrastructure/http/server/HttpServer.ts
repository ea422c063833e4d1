import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Duration, Effect, Latch, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, type HttpServerError } from "effect/http"
import type { NetAddress } from "effect/net"
import { createServer } from "node:http"
import { keepEarlyRequests } from "./EarlyRequests.ts"
import { answerBrokenRequest, answerConnect, answerExpectation } from "./BrokenRequests.ts"
import { ServerCloses } from "../routes/EventStream.ts"
import { layerNoSuchPath } from "../edge/RequestPipeline.ts"
import { RequestTimeout } from "../edge/RequestLimits.ts"

/** The server cannot listen where it was told to; the message is a whole sentence for the operator. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  host: Schema.String,
  port: Schema.Int,
  reason: Schema.String
}) {
  override get message() {
    return `Cannot listen on ${this.host}:${this.port}: ${this.reason}.`
  }
}

/** Where the server really listens: with port 0 the port that the system gave. */
export class BoundAddress extends Context.Service<BoundAddress, NetAddress.SocketAddress>()(
  "order-platform/infrastructure/http/BoundAddress"
) {}

/** Where to listen, and how long requests in flight may take at shutdown before they are cut off. */
export interface HttpServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly gracefulShutdownTimeout: Duration.Input
}

const sometimes = 5000
const maxConnections = 10_000

/**
 * Limits against clients that trickle their request or their reading (slowloris): Node closes what is slower, on a
 * look each second. They are above the time limit for the handler, which ends first and answers in our own words.
 */
const nodeServer = (handlerLimit: Duration.Duration) => () => {
  const handlerMs = Duration.toMillis(handlerLimit)
  const headersTimeout = Math.min(10_000, Math.max(1000, handlerMs))
  const requestTimeout = headersTimeout + handlerMs + sometimes
  const server = createServer({
    headersTimeout,
    requestTimeout,
    connectionsCheckingInterval: 1000,
    // Above the 60 s that load balancers keep idle connections, so that they close them and not we.
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
    // The absence of Host is answered in our own words, and no protocol is changed to.
    requireHostHeader: false,
    shouldUpgradeCallback: () => false
  })
  // Nothing moves on the connection: above the keep-alive of event streams.
  server.setTimeout(requestTimeout + 60_000)
  // More are closed at once: a flood must not use up what the process may have open.
  server.maxConnections = maxConnections
  server.on("clientError", answerBrokenRequest)
  server.on("connect", answerConnect)
  server.on("checkExpectation", answerExpectation)
  keepEarlyRequests(server)
  return server
}

const reasonOf = ({ cause }: HttpServerError.ServeError): string => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  switch (code) {
    case "EADDRINUSE":
      return "the port is taken by another process; choose another with server.port (SERVER_PORT)"
    case "EACCES":
      return "this user may not listen on this port; choose one from 1024 with server.port (SERVER_PORT)"
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "this machine has no such address; see server.host (SERVER_HOST)"
    default:
      return cause instanceof Error ? cause.message : "the system refused"
  }
}

// Paths are case-sensitive, and an id of any length a header allows gets its 400 rather than a 404.
const routerConfig = { caseSensitive: true, maxParamLength: 16_384 }

/**
 * Listens. It closes last, so it may stand below the database: until the routes are served a request waits for them for
 * a moment, and then is told that the process is alive and serves nothing yet.
 */
const layerListening = (options: HttpServerOptions) => {
  const server = Layer.effect(
    HttpServer.HttpServer,
    Effect.mapError(
      Effect.flatMap(RequestTimeout, (limit) => NodeHttpServer.make(nodeServer(limit), options)),
      (error) => new CannotListen({ host: options.host, port: options.port, reason: reasonOf(error) })
    )
  )
  const address = Layer.effect(
    BoundAddress,
    Effect.map(HttpServer.HttpServer, ({ address }) => address)
  )
  return Layer.provideMerge(address, server)
}

/**
 * Serves the routes on the server that listens, and a 404 problem everywhere else. At shutdown it takes no new
 * connections and lets requests in flight finish, up to the timeout; streams end at once.
 */
const layerServing = <A, E, R>(routes: Layer.Layer<A, E, R>) => {
  const serving = HttpRouter.serve(Layer.mergeAll(routes, layerNoSuchPath), {
    disableLogger: true,
    disableListenLog: true,
    routerConfig
  })
  // On top of the server, and so closed before it.
  return endStreams.pipe(
    Layer.provideMerge(serving),
    Layer.provide([NodeHttpServer.layerHttpServices, Layer.effect(ServerCloses, Latch.make())])
  )
}

/** Both at once, for what has nothing to wait for. */
const layer = <A, E, R>(routes: Layer.Layer<A, E, R>, options: HttpServerOptions) =>
  Layer.provideMerge(layerServing(routes), layerListening(options))

const endStreams = Layer.effectDiscard(
  Effect.flatMap(ServerCloses, (serverCloses) => Effect.addFinalizer(() => serverCloses.open))
)

/** The HTTP server of a process of ours, on Node. */
export const OrderHttpServer = { layer, layerListening, layerServing }
