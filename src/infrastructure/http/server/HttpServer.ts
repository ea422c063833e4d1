import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Duration, Effect, Latch, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, type HttpServerError } from "effect/http"
import type { NetAddress } from "effect/net"
import { RequestTimeout } from "../edge/RequestLimits.ts"
import { layerNoSuchPath } from "../edge/RequestPipeline.ts"
import { ServerCloses } from "../routes/EventStream.ts"
import { DrainServer, makeDrain } from "./DrainServer.ts"
import { keepEarlyRequests } from "./EarlyRequests.ts"
import { makeNodeServer } from "./NodeServer.ts"
import { OpenConnections } from "./OpenConnections.ts"

/** The server cannot listen on its address; the message is a sentence for the operator. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  host: Schema.String,
  port: Schema.Int,
  reason: Schema.String
}) {
  override get message() {
    return `Cannot listen on ${this.host}:${this.port}: ${this.reason}.`
  }
}

/** The address on which the server listens; with port 0, it has the port that the system chose. */
export class BoundAddress extends Context.Service<BoundAddress, NetAddress.SocketAddress>()(
  "order-platform/infrastructure/http/BoundAddress"
) {}

/** Where to listen, and how the server stops. */
export interface HttpServerOptions {
  readonly host: string
  /** 0 means any free port. */
  readonly port: number
  /** How long running requests may take at shutdown after the listener has closed. */
  readonly gracefulShutdownTimeout: Duration.Input
  /** How long the listener stays open at shutdown; zero by default. */
  readonly drainDelay?: Duration.Input
  /**
   * How long an idle connection stays open after the listener has closed, because its client may be sending a
   * request; zero by default.
   */
  readonly idleGrace?: Duration.Input
}

const reasonOf = ({ cause }: HttpServerError.ServeError): string => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  switch (code) {
    case "EADDRINUSE":
      return "the port is in use by another process; choose another with server.port (SERVER_PORT)"
    case "EACCES":
      return "this user may not listen on this port; choose a port above 1023 with server.port (SERVER_PORT)"
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "this machine has no such address; see server.host (SERVER_HOST)"
    default:
      return cause instanceof Error ? cause.message : "the system refused"
  }
}

// Paths are case-sensitive. An invalid id of any length that fits into the request head is answered 400, not
// 404.
const routerConfig = { caseSensitive: true, maxParamLength: 16_384 }

/**
 * Listens on the address. Build this layer before the layer of the database, so that the server listens before
 * the database is available, and closes last. Until the routes are served, `keepEarlyRequests` holds and answers
 * requests.
 */
const layerListening = (options: HttpServerOptions) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const node = makeNodeServer(yield* RequestTimeout)
      const connections = new OpenConnections(node)
      keepEarlyRequests(node)
      const server = yield* Effect.mapError(
        NodeHttpServer.make(() => node, options),
        (error) => new CannotListen({ host: options.host, port: options.port, reason: reasonOf(error) })
      )
      const drain = makeDrain(connections, {
        drainDelay: Duration.fromInputUnsafe(options.drainDelay ?? 0),
        idleGrace: Duration.fromInputUnsafe(options.idleGrace ?? 0),
        gracefulShutdownTimeout: Duration.fromInputUnsafe(options.gracefulShutdownTimeout)
      })
      return Context.make(HttpServer.HttpServer, server).pipe(
        Context.add(BoundAddress, server.address),
        Context.add(DrainServer, drain)
      )
    })
  )

/**
 * Serves the routes on the listening server, and a 404 problem for every other path. Closing the layer drains the
 * server: see `DrainServer`.
 */
const layerServing = <A, E, R>(routes: Layer.Layer<A, E, R>) => {
  const serving = HttpRouter.serve(Layer.mergeAll(routes, layerNoSuchPath), {
    disableLogger: true,
    disableListenLog: true,
    routerConfig
  })
  // `drainAtEnd` is built after the routes, so that it closes before them.
  return drainAtEnd.pipe(
    Layer.provideMerge(serving),
    Layer.provide([NodeHttpServer.layerHttpServices, Layer.effect(ServerCloses, Latch.make())])
  )
}

const drainAtEnd = Layer.effectDiscard(
  Effect.gen(function* () {
    const drain = yield* DrainServer
    const serverCloses = yield* ServerCloses
    yield* Effect.addFinalizer(() => drain(serverCloses.open))
  })
)

/** Listens and serves, for a process without a database. */
const layer = <A, E, R>(routes: Layer.Layer<A, E, R>, options: HttpServerOptions) =>
  Layer.provideMerge(layerServing(routes), layerListening(options))

/** The HTTP server of a process, on Node. */
export const OrderHttpServer = { layer, layerListening, layerServing }
