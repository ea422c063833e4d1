import {
  Cause,
  Context,
  Duration,
  Effect,
  Fiber,
  Latch,
  Pull,
  References,
  Schema,
  Scope,
  Stream
} from "effect"
import { Sse } from "effect/encoding"
import { HttpServerResponse } from "effect/http"
import { type Deadline, type Deadlines, makeDeadlines } from "../../../concurrency/Deadlines.ts"
import { OrderEvent } from "../../../domain/OrderEvent.ts"

/** The time between two keep-alive comments, shorter than the idle timeouts of proxies, which are 30 s or more. */
const keepAlive = Duration.seconds(15)

/**
 * A latch that opens when the server is about to close. A stream may last for days, so the server ends it
 * instead of waiting for its end. The client then reconnects to another process with the id of the last event
 * that it received.
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
  // Without this header, nginx holds events until its buffer is full.
  "x-accel-buffering": "no"
}

const encoder = new TextEncoder()
const comment = encoder.encode(": keep-alive\n\n")

const encodeEvents = (events: ReadonlyArray<OrderEvent>): [Uint8Array] => [
  encoder.encode(events.map(toText).join(""))
]

/** The state that all streams of a server share. */
interface OpenStreams {
  readonly deadlines: Deadlines
  readonly context: Context.Context<never>
  /** One function for each open stream, called when the server closes. */
  readonly wakes: Set<() => void>
  isClosed: boolean
}

/**
 * Reads events as chunks of bytes, with a comment at once and after each keep-alive interval. Between events, an open
 * stream uses only the fiber that waits for them and an entry in the list of deadlines.
 */
const readWithComments = (streams: OpenStreams, pull: Pull.Pull<ReadonlyArray<OrderEvent>>) => {
  let reading: Fiber.Fiber<ReadonlyArray<OrderEvent>, Cause.Done> | undefined
  let deadline: Deadline | undefined
  let check = () => {}
  const wake = () => check()

  const setDeadline = () => {
    deadline = streams.deadlines.set(() => {
      deadline = undefined
      wake()
    })
  }

  /** The next chunk; undefined if there is none yet. */
  const available = (): Pull.Pull<[Uint8Array]> | undefined => {
    if (streams.isClosed) return Cause.done()
    if (deadline === undefined) {
      setDeadline()
      return Effect.succeed([comment])
    }
    const isNew = reading === undefined
    reading ??= Effect.runForkWith(streams.context)(pull)
    const exit = reading.pollUnsafe()
    if (exit === undefined) {
      if (isNew) reading.addObserver(wake)
      return undefined
    }
    reading = undefined
    return Effect.flatMap(exit, (events) => Effect.sync(() => encodeEvents(events)))
  }

  const next = Effect.callback<[Uint8Array], Cause.Done>((resume) => {
    check = () => {
      const chunk = available()
      if (chunk === undefined) return
      check = () => {}
      resume(chunk)
    }
    check()
    return Effect.sync(() => void (check = () => {}))
  })

  const close = Effect.suspend(() => {
    streams.wakes.delete(wake)
    if (deadline !== undefined) streams.deadlines.cancel(deadline)
    return reading === undefined ? Effect.void : Fiber.interrupt(reading)
  })
  streams.wakes.add(wake)
  return { close, next }
}

// The status is already sent, so the response can only be cut off. The client then reconnects with the id of
// the last event that it received.
const logFailure = (annotations: Readonly<Record<string, unknown>>) =>
  Effect.tapCause((cause: Cause.Cause<unknown>) =>
    Cause.hasDies(cause)
      ? Effect.annotateLogs(Effect.logError("An event stream failed", cause), annotations)
      : Effect.void
  )

/**
 * Returns a response with these events, which come from `WatchOrder` (src/application/watch), as server-sent
 * events. The response ends when the events end, or when the server closes.
 */
type EventStreams = (
  events: Stream.Stream<OrderEvent>
) => Effect.Effect<HttpServerResponse.HttpServerResponse>

/** Makes the responses of all event streams of a server. */
export const makeEventStreams = Effect.fnUntraced(function* (
  serverCloses: Latch.Latch
): Effect.fn.Return<EventStreams, never, Scope.Scope> {
  const streams: OpenStreams = {
    deadlines: yield* makeDeadlines(keepAlive),
    context: yield* Effect.context(),
    wakes: new Set(),
    isClosed: false
  }
  yield* Effect.forkScoped(
    Effect.map(serverCloses.await, () => {
      streams.isClosed = true
      for (const wake of streams.wakes) wake()
    })
  )

  return (events) =>
    Effect.map(References.CurrentLogAnnotations, (annotations) => {
      const chunks = Stream.transformPull(events, (pull, scope) => {
        const { close, next } = readWithComments(streams, pull)
        return Effect.as(Scope.addFinalizer(scope, close), logFailure(annotations)(next))
      })
      return HttpServerResponse.stream(chunks, { contentType: "text/event-stream", headers })
    })
})
