import { assert, layer as describeLayer } from "@effect/vitest"
import { Effect, Fiber, type Layer } from "effect"
import { type Announcement, OrderQueue } from "../../../src/application/ports/OrderQueue.ts"
import { newOrder } from "../../TestOrders.ts"

const announcement = (): Announcement => ({ event: "OrderCreated", orderId: newOrder().id })

/** What every order queue must do, in one suite that each adapter runs unchanged, in real time. */
export const orderQueueContract = (name: string, layer: Layer.Layer<OrderQueue, unknown>) => {
  describeLayer(layer, { excludeTestServices: true })(`OrderQueue on ${name}`, (it) => {
    it.effect("an announcement wakes a worker that waits", () =>
      Effect.gen(function* () {
        const queue = yield* OrderQueue
        const waiting = yield* Effect.forkChild(queue.announced, { startImmediately: true })
        const one = announcement()
        yield* queue.announce([one])
        assert.deepStrictEqual(yield* Fiber.join(waiting), [one])
      })
    )

    it.effect("an announcement made while nobody waited wakes the next one who does", () =>
      Effect.gen(function* () {
        const queue = yield* OrderQueue
        const [one, two] = [announcement(), announcement()]
        yield* queue.announce([one, two])
        const got = [...(yield* queue.announced)]
        while (got.length < 2) got.push(...(yield* queue.announced))
        assert.deepStrictEqual(got, [one, two])
      })
    )

    it.effect("announcing more than it can hold neither fails nor blocks, and still wakes a worker", () =>
      Effect.gen(function* () {
        const queue = yield* OrderQueue
        for (let n = 0; n < 50; n++) yield* queue.announce(Array.from({ length: 100 }, announcement))
        assert.isAbove((yield* queue.announced).length, 0)
      })
    )

    it.effect("announcing nothing is nothing", () =>
      Effect.gen(function* () {
        const queue = yield* OrderQueue
        yield* queue.announce([])
      })
    )
  })
}
