import { Context, Latch, Schema, SchemaTransformation, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpServerResponse } from "effect/http"
import { OrderEvent } from "../../domain/OrderEvent.ts"

/** How often a stream says that it is still there: below the idle time limits of proxies, which begin at 30 s. */
const keepAlive = "15 seconds"

/**
 * Opens when the server that these streams run on is about to close. A stream may have no end for days, so the server
 * does not wait for it: it ends, and its client comes back to another process with the id it had last.
 */
export const ServerCloses = Context.Reference<Latch.Latch>(
  "order-platform/infrastructure/http/ServerCloses",
  { defaultValue: () => Latch.makeUnsafe() }
)

/** The version that a client had last, in the header `Last-Event-ID` (HTML Standard, 9.2): 0 is none. */
export const LastEventId = Schema.optionalKey(
  Schema.String.check(Schema.isPattern(/^(?:0|[1-9]\d{0,8})$/, { expected: "the id of an event, like 3" }))
    .annotate({ description: "The id of the last event received: the stream goes on after it." })
    .pipe(Schema.decodeTo(Schema.Int, SchemaTransformation.transform({ decode: Number, encode: String })))
)

const encodeData = Schema.encodeSync(Schema.fromJsonString(OrderEvent))

const toText = (event: OrderEvent): string =>
  Sse.encoder.write({ _tag: "Event", id: String(event.version), event: event.event, data: encodeData(event) })

const headers = {
  "cache-control": "no-cache, no-store",
  // Or nginx keeps the events back until it has a buffer full of them.
  "x-accel-buffering": "no"
}

/** The events as server-sent events, with a comment at once and then every 15 s, until they or the server end. */
export const eventStream = (
  events: Stream.Stream<OrderEvent>,
  serverCloses: Latch.Latch
): HttpServerResponse.HttpServerResponse => {
  const comments = Stream.map(Stream.tick(keepAlive), () => ": keep-alive\n\n")
  const text = Stream.merge(comments, Stream.map(events, toText), { haltStrategy: "right" }).pipe(
    Stream.interruptWhen(serverCloses.await)
  )
  return HttpServerResponse.stream(Stream.encodeText(text), { contentType: "text/event-stream", headers })
}
