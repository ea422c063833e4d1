import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import * as OrderPayload from "../../src/domain/OrderPayload.ts"
import { ApiKeys } from "../../src/infrastructure/http/edge/Caller.ts"
import { OrderClient } from "../../src/contract/OrderClient.ts"
import { fakePlatform, idNumber } from "../infrastructure/http/FakePlatform.ts"
import { serve } from "../infrastructure/http/TestServer.ts"

const Coffee = Schema.Struct({ drink: Schema.String, cups: Schema.Int })
const coffee = OrderPayload.make(Coffee)
const secret = Redacted.make("the-secret-of-the-shop")
const keys = Layer.succeed(ApiKeys, { clients: [{ name: "shop", secret }], operators: [] })

const served = Effect.gen(function* () {
  const { platform, submitted } = fakePlatform<typeof coffee.Payloads>()
  const { port } = yield* serve(coffee, platform, keys)
  return { baseUrl: `http://127.0.0.1:${port}`, submitted }
})

describe("OrderClient", () => {
  it.live("submits, reads and lists orders with its key, typed", () =>
    Effect.gen(function* () {
      const { baseUrl, submitted } = yield* served
      const client = yield* OrderClient.make(coffee, { baseUrl, key: secret })
      const { body, headers } = yield* client.orders.submit({
        payload: { payload: { drink: "espresso", cups: 2 }, priority: 5 },
        headers: {}
      })
      assert.strictEqual(headers.location, `/orders/${body.orderId}`)
      assert.deepStrictEqual(submitted[0]?.payload, { drink: "espresso", cups: 2 })
      const order = yield* client.orders.get({ params: { id: idNumber(1) } })
      assert.deepStrictEqual([order.body.status, order.headers.etag], ["FAILED", '"3"'])
      const { orders } = yield* client.orders.list({ query: { status: "PENDING", limit: 10 } })
      assert.strictEqual(orders.length, 1)
      const { events } = yield* client.orders.explain({ params: { id: idNumber(1) } })
      assert.strictEqual(events.length, 3)
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.live("fails with the server's problem as an error of its type", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* served
      const shop = yield* OrderClient.make(coffee, { baseUrl, key: secret })
      const withoutKey = yield* OrderClient.make(coffee, { baseUrl })
      const id = idNumber(7)
      const missing = yield* shop.orders.get({ params: { id } }).pipe(
        Effect.as("there"),
        Effect.catchTag("OrderNotFound", ({ orderId }) => Effect.succeed(orderId))
      )
      assert.strictEqual(missing, id)
      const tagOf = (error: { readonly _tag: string }) => error._tag
      assert.strictEqual(tagOf(yield* Effect.flip(withoutKey.orders.get({ params: { id } }))), "Unauthorized")
      const forbidden = yield* Effect.flip(shop.deadLetters.get({ params: { orderId: id } }))
      assert.strictEqual(tagOf(forbidden), "Forbidden")
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )
})
