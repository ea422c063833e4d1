// Submits an order with the typed client and watches it. `node examples/two-processes/customer.ts
// http://127.0.0.1:3000`
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schedule, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { OrderClient } from "order-platform"
import { coffee } from "./Coffee.ts"

const [baseUrl = "http://127.0.0.1:3000"] = process.argv.slice(2)

const customer = Effect.gen(function* () {
  const { orders } = yield* OrderClient.make(coffee, { baseUrl })
  // With this key the call may be repeated after any failure: only one order is stored.
  const headers = { "idempotency-key": globalThis.crypto.randomUUID() }
  const { body } = yield* orders
    .submit({ payload: { payload: { drink: "espresso", cups: 2 }, priority: 5 }, headers })
    .pipe(Effect.retry({ times: 10, schedule: Schedule.exponential("100 millis") }))
  const events = yield* orders.watch({ params: { id: body.orderId }, headers: {} })
  yield* Stream.runForEach(events, ({ attempt, event, reason, to }) =>
    Console.log(`attempt ${attempt}: ${event}, ${to}${reason === null ? "" : `: ${reason}`}`)
  )
})

NodeRuntime.runMain(Effect.provide(customer, FetchHttpClient.layer))
