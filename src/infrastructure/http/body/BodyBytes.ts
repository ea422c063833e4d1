import { ByteSize, Effect, Fiber, Schema } from "effect"
import { HttpIncomingMessage, type HttpServerError, type HttpServerRequest } from "effect/http"
import { IncomingMessage } from "node:http"
import type { BodyBudgetExhausted } from "../../../contract/RequestErrors.ts"
import { type BodyPlace, noRoom } from "./BodyBudget.ts"

/** The body did not arrive as it was announced. */
export class BodyBroken extends Schema.TaggedError<BodyBroken>()("BodyBroken", {}) {}

// What Node's parser hands over itself. Its stream knows its length, so only room is needed for what comes, and one
// listener for each way in which it can end: what Effect does for any stream costs more than the whole rest of a
// small request. An interruption leaves the connection alone: the answer that it was for goes over it.
const fromNode = (message: IncomingMessage, place: BodyPlace) =>
  Effect.callback<Uint8Array, BodyBroken | BodyBudgetExhausted>((resume) => {
    let chunks: Array<Uint8Array> = []
    let isFull = false
    // The listeners stay: what comes after the first of these is heard by nobody, and the message is not used again.
    const end = () => {
      const [only, ...others] = chunks
      const bytes = only !== undefined && others.length === 0 ? only : Buffer.concat(chunks)
      chunks = []
      resume(Effect.succeed(bytes))
    }
    const broken = () => resume(Effect.fail(new BodyBroken()))
    message
      .on("data", (chunk: Uint8Array) => {
        if (!isFull && place.take(chunk.length)) return chunks.push(chunk)
        // What still comes is read and forgotten.
        isFull = true
        chunks = []
        resume(Effect.fail(noRoom))
      })
      .on("end", end)
      .on("error", broken)
      .on("close", broken)
  })

/** Fails when there is no room for what comes; of another platform than Node nobody knows. */
const fullFrom = (source: object, place: BodyPlace) =>
  source instanceof IncomingMessage
    ? Effect.callback<never, BodyBudgetExhausted>((resume) => {
        const count = (chunk: Uint8Array) => {
          if (!place.take(chunk.length)) resume(Effect.fail(noRoom))
        }
        source.on("data", count)
        return Effect.sync(() => source.off("data", count))
      })
    : Effect.never

/**
 * All bytes of a body, at most so many. A body whose length was announced and accepted comes from Node's parser
 * directly; one in chunks, one that waits for `100 Continue` and one of another platform by way of Effect.
 */
export const bodyBytes = (
  request: HttpServerRequest.HttpServerRequest,
  maxBytes: number,
  place: BodyPlace
): Effect.Effect<Uint8Array, BodyBroken | BodyBudgetExhausted | HttpServerError.HttpServerError> => {
  const { "content-length": length, expect, "transfer-encoding": coding } = request.headers
  const { source } = request
  if (
    source instanceof IncomingMessage &&
    !source.readableEnded &&
    !source.destroyed &&
    Number(length) <= maxBytes &&
    expect === undefined &&
    coding === undefined
  )
    return fromNode(source, place)
  // By a fiber that is not interrupted with the request: that would close the connection, and with it the way of
  // the answer that the request ran out of time. It ends with the body, and with the connection at the latest.
  return request.arrayBuffer.pipe(
    Effect.map((buffer) => new Uint8Array(buffer)),
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxBytes)),
    Effect.exit,
    Effect.forkDetach({ startImmediately: true }),
    // Read by now, so that to listen as well does not set it going before there is somebody who keeps what comes.
    Effect.flatMap((reading) =>
      Effect.raceFirst(Effect.flatten(Fiber.join(reading)), fullFrom(source, place))
    )
  )
}
