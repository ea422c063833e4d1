import { assert, layer as describeLayer } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option } from "effect"
import { type Announcement, WakeUp } from "../application/ports/WakeUp.ts"
import { newOrder } from "./NewOrders.ts"

const announcement = (): Announcement => ({ event: "OrderCreated", orderId: newOrder().id })

const soon = <A>(wait: Effect.Effect<A>) => Effect.timeout(wait, "5 seconds")

/** Takes all announcements that are still on their way, until it is quiet for a moment. */
const drained = Effect.gen(function* () {
  const queue = yield* WakeUp
  for (let n = 0; n < 100; n++) {
    if (Option.isNone(yield* Effect.timeoutOption(queue.announced, "100 millis"))) return
  }
  assert.fail("announcements never end")
})

/** What every order queue must do, in one suite that each adapter runs unchanged, in real time. */
export const wakeUpContract = (name: string, layer: Layer.Layer<WakeUp, unknown>) => {
  describeLayer(layer, { excludeTestServices: true })(`WakeUp on ${name}`, (it) => {
    it.effect("an announcement wakes a worker that waits", () =>
      Effect.gen(function* () {
        const queue = yield* WakeUp
        yield* drained
        const waiting = yield* Effect.forkChild(queue.announced, { startImmediately: true })
        yield* queue.announce([announcement()])
        yield* soon(Fiber.join(waiting))
      })
    )

    it.effect("an announcement made while nobody waited wakes the next one who does, and only once", () =>
      Effect.gen(function* () {
        const queue = yield* WakeUp
        yield* drained
        yield* queue.announce([announcement(), announcement()])
        yield* soon(queue.announced)
        yield* drained
      })
    )

    it.effect("announcing more than it can hold neither fails nor blocks, and still wakes a worker", () =>
      Effect.gen(function* () {
        const queue = yield* WakeUp
        yield* drained
        for (let n = 0; n < 50; n++) yield* queue.announce(Array.from({ length: 100 }, announcement))
        yield* soon(queue.announced)
      })
    )

    it.effect("announcing nothing is nothing", () =>
      Effect.gen(function* () {
        const queue = yield* WakeUp
        yield* queue.announce([])
      })
    )
  })
}
