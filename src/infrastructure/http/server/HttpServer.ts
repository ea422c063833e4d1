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

/** The server cannot listen at its address; the message is a whole sentence for the operator. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  host: Schema.String,
  port: Schema.Int,
  reason: Schema.String
}) {
  override get message() {
    return `Cannot listen on ${this.host}:${this.port}: ${this.reason}.`
  }
}

/** Where the server listens: with port 0, the port that the system gave. */
export class BoundAddress extends Context.Service<BoundAddress, NetAddress.SocketAddress>()(
  "order-platform/infrastructure/http/BoundAddress"
) {}

/** Where to listen, and how the server stops. */
export interface HttpServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** How long running requests may take at shutdown once the listener has closed. */
  readonly gracefulShutdownTimeout: Duration.Input
  /** How long the listener stays at shutdown; none by default. */
  readonly drainDelay?: Duration.Input
  /** How long an idle connection stays after that, since its client may be sending a request; none by default. */
  readonly idleGrace?: Duration.Input
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
 * Listens. It closes last, so it may stand below the database: until the routes are served, a request waits for them for
 * a second and is then answered 503.
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
 * Serves the routes on the server that listens, and a 404 problem everywhere else. Its end is the drain of the server:
 * see `DrainServer`.
 */
const layerServing = <A, E, R>(routes: Layer.Layer<A, E, R>) => {
  const serving = HttpRouter.serve(Layer.mergeAll(routes, layerNoSuchPath), {
    disableLogger: true,
    disableListenLog: true,
    routerConfig
  })
  // On top of the routes, and so closed before them.
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

/** Both at once, for a process without a database. */
const layer = <A, E, R>(routes: Layer.Layer<A, E, R>, options: HttpServerOptions) =>
  Layer.provideMerge(layerServing(routes), layerListening(options))

/** The HTTP server of a process of ours, on Node. */
export const OrderHttpServer = { layer, layerListening, layerServing }
