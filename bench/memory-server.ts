import { NodeRuntime } from "@effect/platform-node"
import { Duration, Effect, Layer, Logger } from "effect"
import { setFlagsFromString } from "node:v8"
import * as Platform from "../src/index.ts"
import { OrderHttpServer } from "../src/infrastructure/http/server/HttpServer.ts"

// The same endpoint and worker on the memory adapters: the cost of HTTP and the application alone.

// As in bin/order-platform.js; the other heap option is in the environment.
setFlagsFromString("--heap-growing-percent=60")

const { Memory, OrderPayload, OrderPlatform, OrderRoutes, OrderWorker, SimulatedOrderProcessor } = Platform
const payload = OrderPayload.anyJsonObject

const server = OrderHttpServer.layer(OrderRoutes.layer(payload), {
  host: "127.0.0.1",
  port: Number(process.env["PORT"]),
  gracefulShutdownTimeout: Duration.seconds(2)
})

const processor = SimulatedOrderProcessor.layer(payload, {
  processingDelay: Duration.zero,
  failureProbability: 0
})

Layer.mergeAll(server, OrderWorker.layer(payload).pipe(Layer.provide(processor))).pipe(
  Layer.provide(OrderPlatform.layer(payload)),
  Layer.provide(Memory.layer),
  Layer.provide(Logger.layer([Logger.consoleJson])),
  Layer.launch,
  // As in the program.
  Effect.withTracerEnabled(false),
  NodeRuntime.runMain
)
