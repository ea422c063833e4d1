import { NodeHttpServer } from "@effect/platform-node"
import { Context, type Duration, Effect, Latch, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, type HttpServerError } from "effect/http"
import type { NetAddress } from "effect/net"
import { createServer } from "node:http"
import { answerBrokenRequest } from "./BrokenRequests.ts"
import { ServerCloses } from "./EventStream.ts"
import { layerNoSuchPath } from "./EveryRequest.ts"

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

// Against clients that trickle their request (slowloris): Node closes what is slower. The request timeout is
// above ours for the handler (15 s), which ends first and answers in our own words.
const nodeServer = () => {
  const server = createServer({
    headersTimeout: 10_000,
    requestTimeout: 60_000,
    // Above the 60 s that load balancers keep idle connections, so that they close them and not we.
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384
  })
  server.on("clientError", answerBrokenRequest)
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
 * Serves the routes, and a 404 problem everywhere else. At shutdown it takes no new connections and lets
 * requests in flight finish, up to the timeout; streams end at once.
 */
const layer = <A, E, R>(routes: Layer.Layer<A, E, R>, options: HttpServerOptions) => {
  const server = Layer.effect(
    HttpServer.HttpServer,
    Effect.mapError(
      NodeHttpServer.make(nodeServer, options),
      (error) => new CannotListen({ host: options.host, port: options.port, reason: reasonOf(error) })
    )
  )
  const address = Layer.effect(
    BoundAddress,
    Effect.map(HttpServer.HttpServer, ({ address }) => address)
  )
  const serving = HttpRouter.serve(Layer.mergeAll(routes, layerNoSuchPath), {
    disableLogger: true,
    disableListenLog: true,
    routerConfig
  })
  // On top of the server, and so closed before it.
  return endStreams.pipe(
    Layer.provideMerge(serving),
    Layer.merge(address),
    Layer.provide([server, NodeHttpServer.layerHttpServices, Layer.effect(ServerCloses, Latch.make())])
  )
}

const endStreams = Layer.effectDiscard(
  Effect.flatMap(ServerCloses, (serverCloses) => Effect.addFinalizer(() => serverCloses.open))
)

/** The HTTP server of a process of ours, on Node. */
export const OrderHttpServer = { layer }
