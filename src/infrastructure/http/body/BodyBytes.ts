import { ByteSize, Effect, Fiber, Schema } from "effect"
import { HttpIncomingMessage, type HttpServerError, type HttpServerRequest } from "effect/http"
import { IncomingMessage } from "node:http"
import { BodyBudgetExhausted } from "../../../contract/RequestErrors.ts"

/** The memory for the bodies of one endpoint, in bytes; four of the largest always fit. */
const minBudget = 33_554_432

/** Why a body is refused when the budget is used up. */
export const budgetExhausted = new BodyBudgetExhausted({
  message:
    "The bodies of the requests in progress fill the memory reserved for them; nothing of this call was stored.",
  maxBytes: minBudget,
  retryAfterSeconds: 1
})

/** What the body of one request takes from the budget. */
export interface BodyReservation {
  /** Reserves so many bytes more; false if the budget has not as many left. */
  readonly reserve: (bytes: number) => boolean
}

/**
 * Limits the memory that the bodies of an endpoint take together, however many connections send large ones. Bytes count
 * when they arrive, so a client that announces much and sends nothing takes none; they count until the request is
 * answered, so bodies that wait to be stored are included.
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

// One for all: a connection that closes after the body had ended is no error, and a new one would capture its stack.
const bodyBroken = Effect.fail(new BodyBroken())

// Reads the request of Node directly: its parser already checks the length, and Effect's general way to read a stream
// costs more than all the rest of a small request. An interruption does not close the connection, since the response to
// the request that ran out of time is sent over it.
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

/** Fails once what arrives exceeds the budget. On another platform than Node arriving bytes cannot be counted. */
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
 * All bytes of a body, at most `maxBytes`. A body with an accepted `Content-Length` is read from Node directly; a body in
 * chunks, after `100 Continue` or of another platform is read by Effect.
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
  // In a fiber that is not interrupted with the request: interrupting would close the connection, and the response that
  // the request ran out of time could not be sent. It ends with the body, at the latest with the connection.
  return request.arrayBuffer.pipe(
    Effect.map((buffer) => new Uint8Array(buffer)),
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxBytes)),
    Effect.exit,
    Effect.forkDetach({ startImmediately: true }),
    // Counted once reading has begun: a listener of ours alone would start the stream, and lose its first bytes.
    Effect.flatMap((reading) =>
      Effect.raceFirst(Effect.flatten(Fiber.join(reading)), exhaustedBy(source, reservation))
    )
  )
}
