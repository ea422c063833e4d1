import { Cause, Data, Duration, Effect, Random, Result } from "effect"
import { cleanReason, type Failure, failure } from "../../domain/Failure.ts"
import { attemptOf, isLastAttempt, type Outcome, type ProcessingOrder } from "../../domain/Order.ts"
import type { OrderPayload } from "../../domain/OrderPayload.ts"
import { delayAfter, RetryPolicy } from "../../domain/RetryPolicy.ts"
import type { AttemptError, OrderProcessor, Writes } from "../ports/OrderProcessor.ts"
import type { WritesRefused } from "../ports/WorkStore.ts"

/** What is stored cannot be read; no other attempt can. */
export class Undecodable extends Data.TaggedError("Undecodable")<{ readonly reason: string }> {}

/** Nothing came of the attempt in the time it may take. */
export class Late extends Data.TaggedError("Late")<{ readonly limit: Duration.Duration }> {}

/** All that an attempt may fail with. */
export type AttemptFailure = AttemptError | Undecodable | Late | WritesRefused

/** Runs one attempt: decodes what is stored, and has it processed. */
export const processOrder =
  <P>(payload: OrderPayload<P>, { process }: OrderProcessor<P>) =>
  (order: ProcessingOrder): Effect.Effect<void | Writes, AttemptError | Undecodable> =>
    Effect.suspend((): Effect.Effect<void | Writes, AttemptError | Undecodable> => {
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

/** What a failed attempt means for its order. Total: a defect is folded into a reason, nothing escapes. */
export const outcomeOfFailure = (
  order: ProcessingOrder,
  cause: Cause.Cause<AttemptFailure>
): Effect.Effect<Outcome> => {
  const found = Cause.findErrorOption(cause)
  if (found._tag === "None") return retryOrFail(order, failure("DEFECT", defectReason(cause)))
  const error = found.value
  switch (error._tag) {
    case "Undecodable":
      return Effect.succeed(failed(failure("UNDECODABLE", error.reason)))
    case "Late": {
      const limit = Duration.format(error.limit)
      return retryOrFail(
        order,
        failure("TIMEOUT", `The attempt took longer than ${limit} and was interrupted.`)
      )
    }
    case "RetryableFailure": {
      const { reason, reasonCode = "PROCESSING_FAILED", retryIn } = error
      return retryOrFail(order, failure(reasonCode, reason), retryIn)
    }
    case "WritesRefused":
      return retryOrFail(order, failure("PROCESSING_FAILED", `The writes were refused: ${error.reason}`))
    case "PermanentFailure":
      return Effect.succeed(failed(failure("PERMANENT", error.reason)))
    case "Snooze": {
      const { delay, reason } = error
      return Effect.succeed({
        event: "snoozed",
        delay: storable(delay),
        detail: reason === undefined ? null : cleanReason(reason)
      })
    }
  }
}

const failed = (failure: Failure): Outcome => ({ event: "failed", failure })

/** Spends an attempt: the last one ends in FAILED, any other waits as long as the processor or the policy says. */
const retryOrFail = Effect.fnUntraced(function* (
  order: ProcessingOrder,
  failure: Failure,
  retryIn?: Duration.Duration
): Effect.fn.Return<Outcome> {
  if (isLastAttempt(order)) return failed(failure)
  if (retryIn !== undefined) return { event: "retried", failure, delay: storable(retryIn) }
  const delay = yield* delayAfter(yield* RetryPolicy, attemptOf(order), yield* Random.next)
  return { event: "retried", failure, delay }
})

/** A processor's own delay in whole milliseconds, between nothing and ten years, so that it is a time PostgreSQL has. */
const storable = (delay: Duration.Duration): Duration.Duration =>
  Duration.millis(Math.round(Math.min(Math.max(0, Duration.toMillis(delay)), Duration.toMillis("3650 days"))))

const defectReason = (cause: Cause.Cause<unknown>): string => {
  const defect = Cause.squash(cause)
  return defect instanceof Error ? `${defect.name}: ${defect.message}` : String(defect)
}
