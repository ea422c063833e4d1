import { Cause, Duration, Effect, Exit, Random, Schema } from "effect"
import { type Failure, failure } from "../domain/Failure.ts"
import { attemptOf, isLastAttempt, type Outcome, type ProcessingOrder } from "../domain/Order.ts"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import { delayAfter, RetryPolicy } from "../domain/RetryPolicy.ts"
import { type AttemptError, OrderProcessor } from "./ports/OrderProcessor.ts"

/** The life of one attempt: decode, process within the time it may take, and fold whatever happened into an outcome. */
export const processOrder = <P>(payload: OrderPayload<P>, attemptTimeout: Duration.Duration) => {
  const decode = Schema.decodeUnknownExit(payload.schema)

  return Effect.fnUntraced(function* (order: ProcessingOrder) {
    const processor = yield* OrderProcessor.service(payload)
    const decoded = decode(order.payload)
    if (Exit.isFailure(decoded)) {
      return failed(
        failure("UNDECODABLE", `The stored payload does not fit the schema: ${Cause.pretty(decoded.cause)}`)
      )
    }
    const exit = yield* processor
      .process({
        orderId: order.id,
        effectKey: order.id,
        payload: decoded.value,
        attempt: attemptOf(order),
        maxRetries: order.maxRetries,
        metadata: order.metadata,
        correlationId: order.correlationId
      })
      .pipe(
        Effect.timeoutOrElse({ duration: attemptTimeout, orElse: () => Effect.fail("timeout" as const) }),
        Effect.exit
      )
    return yield* outcomeOf(order, exit, attemptTimeout)
  })
}

/** What an attempt's exit means for its order. Total: a defect is folded into a reason, nothing escapes. */
const outcomeOf = (
  order: ProcessingOrder,
  exit: Exit.Exit<void, AttemptError | "timeout">,
  attemptTimeout: Duration.Duration
): Effect.Effect<Outcome> => {
  if (Exit.isSuccess(exit)) return Effect.succeed({ event: "completed" })
  const error = Cause.findErrorOption(exit.cause)
  if (error._tag === "None") return retryOrFail(order, failure("DEFECT", defectReason(exit.cause)))
  if (error.value === "timeout") {
    const limit = Duration.format(attemptTimeout)
    return retryOrFail(
      order,
      failure("TIMEOUT", `The attempt took longer than ${limit} and was interrupted.`)
    )
  }
  switch (error.value._tag) {
    case "RetryableFailure": {
      const { reason, reasonCode = "PROCESSING_FAILED", retryIn } = error.value
      return retryOrFail(order, failure(reasonCode, reason), retryIn)
    }
    case "PermanentFailure":
      return Effect.succeed(failed(failure("PERMANENT", error.value.reason)))
    case "Snooze": {
      const { delay, reason = null } = error.value
      return Effect.succeed({
        event: "snoozed",
        delay: storable(delay),
        detail: reason === null ? null : failure("PROCESSING_FAILED", reason).reason
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
