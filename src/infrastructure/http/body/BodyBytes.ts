import { ByteSize, Effect, Fiber, Schema } from "effect"
import { HttpIncomingMessage, type HttpServerError, type HttpServerRequest } from "effect/http"
import { IncomingMessage } from "node:http"
import { BodyBudgetExhausted } from "../../../contract/RequestErrors.ts"

/**
 * The minimum budget for the bodies of one endpoint, in bytes. The budget is larger if four bodies of the
 * maximum size need more.
 */
const minBudget = 33_554_432

/** The refusal of a body when the budget is used up. */
const budgetExhausted = new BodyBudgetExhausted({
  message: "The bodies of the requests in progress use all the memory reserved for them; nothing was stored.",
  maxBytes: minBudget,
  retryAfterSeconds: 1
})

/** The part of the budget that one request uses. */
export interface BodyReservation {
  /** Reserves more bytes; false if the budget has fewer left. */
  readonly reserve: (bytes: number) => boolean
}

/**
 * Limits the total memory for the bodies of an endpoint, for any number of connections. Bytes count from
 * their arrival until the request is answered. So a client that announces a large body and sends nothing uses
 * no memory, and the bodies of orders that wait to be stored are included.
 */
export const makeBodyBudget = (maxBytes: number) => {
  const budget = Math.max(minBudget, 4 * maxBytes)
  let reserved = 0
  return <A, E, R>(use: (reservation: BodyReservation) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      let own = 0
      let isAnswered = false
      const reserve = (bytes: number) => {
        if (isAnswered || reserved + bytes > budget) return false
        reserved += bytes
        own += bytes
        return true
      }
      return Effect.ensuring(
        Effect.suspend(() => use({ reserve })),
        Effect.sync(() => {
          reserved -= own
          isAnswered = true
        })
      )
    })
}

/** The connection ended or failed before the whole body had arrived. */
export class BodyBroken extends Schema.TaggedError<BodyBroken>()("BodyBroken", {}) {}

// A constant, because `broken` also runs after each complete body (`close` is emitted then), and a new error
// would capture a stack trace each time.
const bodyBroken = Effect.fail(new BodyBroken())

// Reads Node's request directly: Node's parser already checks the length, and Effect's general way to read a stream
// costs more than the rest of a small request. An interruption does not close the connection, because the 503 of a
// request that timed out is sent over it.
const fromNode = (message: IncomingMessage, reservation: BodyReservation) =>
  Effect.callback<Uint8Array, BodyBroken | BodyBudgetExhausted>((resume) => {
    let chunks: Array<Uint8Array> = []
    let isFull = false
    // The listeners are not removed: only the first result counts, and the request is not read again.
    const end = () => {
      const [only, ...others] = chunks
      const bytes = only !== undefined && others.length === 0 ? only : Buffer.concat(chunks)
      chunks = []
      resume(Effect.succeed(bytes))
    }
    const broken = () => resume(bodyBroken)
    message
      .on("data", (chunk: Uint8Array) => {
        if (!isFull && reservation.reserve(chunk.length)) return chunks.push(chunk)
        // The rest is read and dropped.
        isFull = true
        chunks = []
        resume(Effect.fail(budgetExhausted))
      })
      .on("end", end)
      .on("error", broken)
      .on("close", broken)
  })

/** Fails once the received bytes exceed the budget. On platforms other than Node, bytes cannot be counted. */
const exhaustedBy = (source: object, reservation: BodyReservation) =>
  source instanceof IncomingMessage
    ? Effect.callback<never, BodyBudgetExhausted>((resume) => {
        const count = (chunk: Uint8Array) => {
          if (!reservation.reserve(chunk.length)) resume(Effect.fail(budgetExhausted))
        }
        source.on("data", count)
        return Effect.sync(() => source.off("data", count))
      })
    : Effect.never

/**
 * All bytes of a body, at most `maxBytes`. A body with an accepted `Content-Length` is read directly from
 * Node. A chunked body, a body after `100 Continue`, and a body on another platform are read by Effect.
 */
export const bodyBytes = (
  request: HttpServerRequest.HttpServerRequest,
  maxBytes: number,
  reservation: BodyReservation
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
    return fromNode(source, reservation)
  // The body is read in a fiber that is not interrupted with the request. Interrupting the read would close
  // the connection, and the 503 of a request that timed out could not be sent. The fiber ends at the end of
  // the body, at the latest when the connection closes.
  return request.arrayBuffer.pipe(
    Effect.map((buffer) => new Uint8Array(buffer)),
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxBytes)),
    Effect.exit,
    Effect.forkDetach({ startImmediately: true }),
    // Bytes are counted after reading has begun, because adding a listener earlier would start the stream and lose its
    // first bytes.
    Effect.flatMap((reading) =>
      Effect.raceFirst(Effect.flatten(Fiber.join(reading)), exhaustedBy(source, reservation))
    )
  )
}
