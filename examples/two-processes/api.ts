// Takes orders and migrates; any number of these. `DATABASE_URL=postgres://… PORT=3000 node examples/two-processes/api.ts`
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { OrderPlatform, OrderRoutes, Postgres } from "order-platform"
import { coffee, database } from "./Coffee.ts"

const server = NodeHttpServer.layerConfig(() => createServer(), {
  host: Config.succeed("127.0.0.1"),
  port: Config.Int("PORT").pipe(Config.withDefault(3000))
})

const api = OrderRoutes.layer(coffee).pipe(
  Layer.provide(OrderPlatform.layer(coffee)),
  Layer.provide(Postgres.layer)
)

NodeRuntime.runMain(Layer.launch(HttpRouter.serve(api).pipe(Layer.provide([database, server]))))
