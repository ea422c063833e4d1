import { Effect } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import type { Overloaded } from "../../../domain/OrderErrors.ts"

/** The answer to a call that came when too much was waiting: its problem, and when it is worth a new try. */
export const answerOverloaded = (error: Overloaded) =>
  Effect.map(
    HttpServerRespondable.toResponse(error),
    HttpServerResponse.setHeader("retry-after", `${error.retryAfterSeconds}`)
  )
