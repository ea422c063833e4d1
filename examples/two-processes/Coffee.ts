// The payload that both processes share.
import { PgClient } from "@effect/sql-pg"
import { Config, Schema } from "effect"
import { OrderPayload } from "order-platform"

export const coffee = OrderPayload.make(Schema.Struct({ drink: Schema.String, cups: Schema.Int }), {
  name: "coffee"
})

export const database = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })
