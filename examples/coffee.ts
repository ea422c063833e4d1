// The smallest app: coffee orders, processed in memory. `node examples/coffee.ts`
import { Console, Effect, Layer, Schedule, Schema } from "effect"
import { Memory, OrderPayload, OrderPlatform, OrderProcessor, OrderWorker } from "order-platform"

const coffee = OrderPayload.make(Schema.Struct({ drink: Schema.String }), { name: "coffee" })
const barista = OrderProcessor.layer(coffee, ({ payload }) => Console.log(`one ${payload.drink}, please`))
const bar = OrderWorker.layer(coffee).pipe(
  Layer.provide(barista),
  Layer.provideMerge(OrderPlatform.layer(coffee)),
  Layer.provide(Memory.layer)
)

const program = Effect.gen(function* () {
  const orders = yield* OrderPlatform.service(coffee)
  const id = yield* orders.submit({ payload: { drink: "flat white" } })
  const order = yield* Effect.repeat(orders.find(id), {
    until: ({ status }) => status === "PROCESSED",
    schedule: Schedule.spaced("10 millis")
  })
  yield* Console.log(`the order is ${order.status} after ${order.version} transitions`)
})

await Effect.runPromise(Effect.provide(program, bar))
