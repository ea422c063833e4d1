// An app with two types of orders, each with its own payload, settings and processor. `node examples/office.ts`
import { Console, Duration, Effect, Layer, Schema, Stream } from "effect"
import { Memory, OrderPlatform, OrderProcessor, OrderType, OrderTypes, OrderWorker } from "order-platform"

const invoice = OrderType.make("invoice", Schema.Struct({ customer: Schema.String, cents: Schema.Int }), {
  maxRetries: 10,
  attemptTimeout: Duration.minutes(5),
  concurrency: 2
})
const email = OrderType.make("email", Schema.Struct({ to: Schema.String, text: Schema.String }))
const types = OrderTypes.make(invoice, email)

const processors = Layer.merge(
  OrderProcessor.layer(invoice, ({ payload }) =>
    Console.log(`${payload.customer} owes ${payload.cents} cents`)
  ),
  OrderProcessor.layer(email, ({ payload }) => Console.log(`to ${payload.to}: ${payload.text}`))
)
const office = OrderWorker.layer(types).pipe(
  Layer.provide(processors),
  Layer.provideMerge(OrderPlatform.layer(types)),
  Layer.provide(Memory.layer)
)

const program = Effect.gen(function* () {
  const orders = yield* OrderPlatform.service(types)
  const bill = yield* orders.submit({ type: "invoice", payload: { customer: "ann", cents: 1200 } })
  yield* Stream.runDrain(Stream.unwrap(orders.watch(bill)))
  const mail = yield* orders.submit({ type: "email", payload: { to: "ann", text: "your invoice" } })
  yield* Stream.runDrain(Stream.unwrap(orders.watch(mail)))
})

await Effect.runPromise(Effect.provide(program, office))
