// The script of a web page that submits an order. BrowserBundle.test.ts bundles it and runs it in Chromium.
import { Effect, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { OrderClient, OrderId, OrderPayload } from "order-platform/contract"

const unknownId = OrderId.make("00000000-0000-7000-8000-000000000000")

/** Submits an order to the server at `baseUrl` and reads it back; `unknown` is the error for an unknown order. */
const submitAndGet = (baseUrl: string, secret: string) =>
  Effect.gen(function* () {
    const key = Redacted.make(secret)
    const { orders } = yield* OrderClient.make(OrderPayload.anyJsonObject, { baseUrl, key })
    const submitted = yield* orders.submit({ payload: { payload: { drink: "espresso" } }, headers: {} })
    const { orderId } = submitted.body
    const { body, headers } = yield* orders.get({ params: { id: orderId } })
    const unknown = yield* orders.get({ params: { id: unknownId } }).pipe(
      Effect.as("found"),
      Effect.catchTag("OrderNotFound", ({ _tag }) => Effect.succeed(_tag))
    )
    return { orderId, status: body.status, payload: body.payload, etag: headers.etag, unknown }
  }).pipe(Effect.provide(FetchHttpClient.layer), Effect.runPromise)

/** What the page received. */
export type Seen = Awaited<ReturnType<typeof submitAndGet>>

Object.assign(globalThis, { submitAndGet })
