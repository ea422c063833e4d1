import { Effect } from "effect"
import { BodyBudgetExhausted } from "../../../contract/RequestErrors.ts"

/** The most bytes of bodies that an endpoint has at once; four of the largest fit always. */
const mostBytes = 33_554_432

/** Why a body is refused when the budget is used up. */
export const noRoom = new BodyBudgetExhausted({
  message:
    "The bodies of the requests in progress fill the memory reserved for them; nothing of this call was stored.",
  maxBytes: mostBytes,
  retryAfterSeconds: 1
})

/** What the body of one request takes of the room. */
export interface BodyPlace {
  /** Takes so many bytes more; false if there is no room for them. */
  readonly take: (bytes: number) => boolean
}

/**
 * Room for the bodies of an endpoint, so that large ones on many connections do not use up the memory. Counted is what
 * has come, so that whoever announces much and sends nothing keeps nobody out, until the request is answered: what waits
 * to be stored counts too.
 */
export const makeBodyRoom = (maxBytes: number) => {
  const room = Math.max(mostBytes, 4 * maxBytes)
  let held = 0
  return <A, E, R>(use: (place: BodyPlace) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      let taken = 0
      let isOver = false
      const take = (bytes: number) => {
        if (isOver || held + bytes > room) return false
        held += bytes
        taken += bytes
        return true
      }
      return Effect.ensuring(
        Effect.suspend(() => use({ take })),
        Effect.sync(() => {
          held -= taken
          isOver = true
        })
      )
    })
}
