import { Effect, Result } from "effect"
import { attemptOf, type ProcessingOrder } from "../../domain/Order.ts"
import type { OrderPayload } from "../../domain/OrderPayload.ts"
import type { OrderProcessor, Writes } from "../ports/OrderProcessor.ts"
import { type AttemptFailure, Undecodable } from "./AttemptOutcome.ts"

/** What an attempt runs: it succeeds with nothing, or with writes to be committed. */
export type Process = (order: ProcessingOrder) => Effect.Effect<void | Writes, AttemptFailure>

/** Decodes the stored payload and calls the app's processor with it. */
export const processOrder =
  <P>(payload: OrderPayload<P>, { process }: OrderProcessor<P>): Process =>
  (order) =>
    Effect.suspend((): Effect.Effect<void | Writes, AttemptFailure> => {
      const decoded = payload.decode(order.payload, order.payloadVersion)
      if (Result.isFailure(decoded)) return new Undecodable({ reason: decoded.failure })
      return process({
        orderId: order.id,
        effectKey: order.id,
        payload: decoded.success,
        attempt: attemptOf(order),
        maxRetries: order.maxRetries,
        metadata: order.metadata,
        correlationId: order.correlationId
      })
    })
