// The smallest app: coffee orders, processed in memory. `node examples/coffee.ts`
import { Console, Effect, Layer, Schema, Stream } from "effect"
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
  const events = yield* Stream.runCollect(Stream.unwrap(orders.watch(id)))
  yield* Console.log(`the order is ${events.at(-1)?.to} after ${events.length} transitions`)
})

await Effect.runPromise(Effect.provide(program, bar))
