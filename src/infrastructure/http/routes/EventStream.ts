import { Cause, Context, Duration, Effect, Fiber, Latch, Schema, Scope, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpServerResponse } from "effect/http"
import { makeDeadlines, type Deadline } from "../../../concurrency/Deadlines.ts"
import { OrderEvent } from "../../../domain/OrderEvent.ts"

/** How often a stream says that it is still there: below the idle time limits of proxies, which begin at 30 s. */
const keepAlive = Duration.seconds(15)

/**
 * Opens when the server that these streams run on is about to close. A stream may have no end for days, so the server
 * does not wait for it: it ends, and its client comes back to another process with the id it had last.
 */
export const ServerCloses = Context.Reference<Latch.Latch>(
  "order-platform/infrastructure/http/ServerCloses",
  { defaultValue: () => Latch.makeUnsafe() }
)

const encodeData = Schema.encodeSync(Schema.fromJsonString(OrderEvent))

const toText = (event: OrderEvent): string =>
  Sse.encoder.write({ _tag: "Event", id: String(event.version), event: event.event, data: encodeData(event) })

const headers = {
  "cache-control": "no-cache, no-store",
  // Or nginx keeps the events back until it has a buffer full of them.
  "x-accel-buffering": "no"
}

const encoder = new TextEncoder()
const comment = encoder.encode(": keep-alive\n\n")

/** The events as server-sent events, with a comment at once and then every 15 s, until they or the server end. */
export type EventStreams = (events: Stream.Stream<OrderEvent>) => HttpServerResponse.HttpServerResponse

/**
 * Streams that cost little while nothing happens, which is nearly always: one timer for the comments of all, one fiber
 * that waits for the end of the server, and for each stream the one that waits for its next events.
 */
export const makeEventStreams = Effect.fnUntraced(function* (
  serverCloses: Latch.Latch
): Effect.fn.Return<EventStreams, never, Scope.Scope> {
  const deadlines = yield* makeDeadlines(keepAlive)
  const context = yield* Effect.context()
  /** What each open stream does when the server closes. */
  const open = new Set<() => void>()
  let isClosed = false
  yield* Effect.forkScoped(
    Effect.map(serverCloses.await, () => {
      isClosed = true
      for (const look of open) look()
    })
  )

  const withComments = (events: Stream.Stream<OrderEvent>) =>
    Stream.transformPull(events, (pull, scope) => {
      let reading: Fiber.Fiber<ReadonlyArray<OrderEvent>, Cause.Done> | undefined
      let deadline: Deadline | undefined
      /** Looks whether there is something for the client, while it is waited for. */
      let look = () => {}
      const wake = () => look()

      const next = Effect.callback<[Uint8Array], Cause.Done>((resume) => {
        const answer = (what: Effect.Effect<[Uint8Array], Cause.Done>) => {
          look = () => {}
          resume(what)
        }
        look = () => {
          if (isClosed) return answer(Cause.done())
          if (deadline === undefined) {
            deadline = deadlines.set(() => {
              deadline = undefined
              wake()
            })
            return answer(Effect.succeed([comment]))
          }
          const isNew = reading === undefined
          const fiber = (reading ??= Effect.runForkWith(context)(pull))
          const exit = fiber.pollUnsafe()
          if (exit === undefined) {
            if (isNew) fiber.addObserver(wake)
            return
          }
          reading = undefined
          answer(Effect.map(exit, (events) => [encoder.encode(events.map(toText).join(""))]))
        }
        look()
        return Effect.sync(() => void (look = () => {}))
      })

      const leave = Effect.suspend(() => {
        open.delete(wake)
        if (deadline !== undefined) deadlines.cancel(deadline)
        return reading === undefined ? Effect.void : Fiber.interrupt(reading)
      })
      open.add(wake)
      return Effect.as(Scope.addFinalizer(scope, leave), next)
    })

  return (events) =>
    HttpServerResponse.stream(withComments(events), { contentType: "text/event-stream", headers })
})
