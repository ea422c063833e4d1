import { assert, layer as describeLayer } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option } from "effect"
import { WakeUp } from "../application/ports/WakeUp.ts"

const soon = <A>(wait: Effect.Effect<A>) => Effect.timeout(wait, "5 seconds")

/** Takes announcements until none arrives for a moment. */
const drained = Effect.gen(function* () {
  const wakeUp = yield* WakeUp
  for (let n = 0; n < 100; n++) {
    if (Option.isNone(yield* Effect.timeoutOption(wakeUp.awaitAnnouncement, "100 millis"))) return
  }
  assert.fail("announcements never end")
})

/** What every WakeUp adapter must do, in one suite that each adapter runs unchanged, in real time. */
export const wakeUpContract = (name: string, layer: Layer.Layer<WakeUp, unknown>) => {
  describeLayer(layer, { excludeTestServices: true })(`WakeUp on ${name}`, (it) => {
    it.effect("an announcement wakes a worker that waits", () =>
      Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        yield* drained
        const waiting = yield* Effect.forkChild(wakeUp.awaitAnnouncement, { startImmediately: true })
        yield* wakeUp.announce(1)
        yield* soon(Fiber.join(waiting))
      })
    )

    it.effect(
      "an announcement made while no worker waits is kept, and wakes the next waiting worker once",
      () =>
        Effect.gen(function* () {
          const wakeUp = yield* WakeUp
          yield* drained
          yield* wakeUp.announce(2)
          yield* soon(wakeUp.awaitAnnouncement)
          yield* drained
        })
    )

    it.effect(
      "announcing more often than announcements can be kept neither fails nor blocks, and still wakes a worker",
      () =>
        Effect.gen(function* () {
          const wakeUp = yield* WakeUp
          yield* drained
          for (let n = 0; n < 5000; n++) yield* wakeUp.announce(100)
          yield* soon(wakeUp.awaitAnnouncement)
        })
    )

    it.effect("announcing zero orders does nothing", () =>
      Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        yield* drained
        yield* wakeUp.announce(0)
        assert.isTrue(Option.isNone(yield* Effect.timeoutOption(wakeUp.awaitAnnouncement, "100 millis")))
      })
    )
  })
}
