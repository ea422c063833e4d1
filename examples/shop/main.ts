// The shop as a process: `DATABASE_URL=postgres://… PORT=3000 node examples/shop/main.ts`
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { platform, routes } from "./Shop.ts"

const database = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })
const server = NodeHttpServer.layerConfig(() => createServer(), {
  host: Config.succeed("127.0.0.1"),
  port: Config.Int("PORT").pipe(Config.withDefault(3000))
})

// Each layer depends on the layers below it, so it starts after them and stops before them. The server starts
// last, because Node never answers a request that arrives before there are routes.
const shop = HttpRouter.serve(routes).pipe(
  Layer.provide(server),
  Layer.provide(platform),
  Layer.provide(database)
)

NodeRuntime.runMain(Layer.launch(shop))
