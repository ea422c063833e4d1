import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import { Overloaded } from "../../domain/OrderErrors.ts"

/** The most bytes of bodies that an endpoint has at once, read or still to be read; four of the largest fit always. */
const mostBytes = 67_108_864

const full = new Overloaded({
  detail: "More bodies are on their way than there is room for; nothing of this call was stored.",
  retryAfterSeconds: 1
})

/** What a body may take: as announced, or the most that is taken; nothing if it is refused for its length anyway. */
const bytesOf = ({ headers }: HttpServerRequest.HttpServerRequest, maxBytes: number): number => {
  if (headers["transfer-encoding"] !== undefined) return maxBytes
  const length = Number(headers["content-length"] ?? 0)
  return length <= maxBytes ? length : 0
}

/**
 * Room for the bodies of an endpoint, so that however many connections send large ones at once, and however slowly,
 * they do not use up the memory. A body has its place until its request is answered: what waits to be stored counts too.
 */
export const makeBodyRoom = (maxBytes: number) => {
  const room = Math.max(mostBytes, 4 * maxBytes)
  let held = 0
  return <A, E, R>(
    request: HttpServerRequest.HttpServerRequest,
    handled: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | Overloaded, R> => {
    const bytes = bytesOf(request, maxBytes)
    let taken = 0
    const take = Effect.suspend((): Effect.Effect<A, E | Overloaded, R> => {
      if (held + bytes > room) return Effect.fail(full)
      held += bytes
      taken = bytes
      return handled
    })
    return Effect.ensuring(
      take,
      Effect.sync(() => {
        held -= taken
      })
    )
  }
}
