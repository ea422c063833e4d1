// The shop as a process: `DATABASE_URL=postgres://… PORT=3000 node examples/shop/main.ts`
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { shop } from "./Shop.ts"

const database = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })
const server = NodeHttpServer.layerConfig(() => createServer(), {
  host: Config.succeed("127.0.0.1"),
  port: Config.Int("PORT").pipe(Config.withDefault(3000))
})

NodeRuntime.runMain(Layer.launch(HttpRouter.serve(shop).pipe(Layer.provide([database, server]))))
