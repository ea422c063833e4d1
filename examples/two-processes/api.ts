// Accepts orders over HTTP and migrates the database. Start any number of these. `DATABASE_URL=postgres://…
// PORT=3000 node examples/two-processes/api.ts`
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

// The server starts last: Node never answers a request that arrives before there are routes.
const api = HttpRouter.serve(OrderRoutes.layer(coffee)).pipe(
  Layer.provide(server),
  Layer.provide(OrderPlatform.layer(coffee)),
  Layer.provide(Postgres.layer),
  Layer.provide(database)
)

NodeRuntime.runMain(Layer.launch(api))
