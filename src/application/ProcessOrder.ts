import { Cause, Duration, Effect, Exit, Random, Result } from "effect"
import { cleanReason, type Failure, failure } from "../domain/Failure.ts"
import { attemptOf, isLastAttempt, type Outcome, type ProcessingOrder } from "../domain/Order.ts"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import { delayAfter, RetryPolicy } from "../domain/RetryPolicy.ts"
import { type AttemptError, OrderProcessor, type Writes } from "./ports/OrderProcessor.ts"
import type { WritesRefused } from "./ports/OrderRepository.ts"
import type { TimeLimit } from "./TimeLimit.ts"

/** What an attempt came to: an outcome to settle, with the app's own writes if it has any. */
export interface Processed {
  readonly outcome: Outcome
  readonly writes: Writes["writes"] | null
}

/** The life of one attempt: decode, process within the time it may take, and fold whatever happened into an outcome. */
export const processOrder = <P>(
  payload: OrderPayload<P>,
  attemptTimeout: Duration.Duration,
  timeLimit: TimeLimit
) =>
  Effect.fnUntraced(function* (
    order: ProcessingOrder
  ): Effect.fn.Return<Processed, never, OrderProcessor<P>> {
    const processor = yield* OrderProcessor.service(payload)
    const decoded = payload.decode(order.payload, order.payloadVersion)
    if (Result.isFailure(decoded))
      return { outcome: failed(failure("UNDECODABLE", decoded.failure)), writes: null }
    const processing = processor.process({
      orderId: order.id,
      effectKey: order.id,
      payload: decoded.success,
      attempt: attemptOf(order),
      maxRetries: order.maxRetries,
      metadata: order.metadata,
      correlationId: order.correlationId
    })
    const exit = yield* Effect.exit(timeLimit.within(processing, late))
    if (Exit.isSuccess(exit)) return { outcome: { event: "completed" }, writes: exit.value?.writes ?? null }
    return { outcome: yield* outcomeOfFailure(order, exit.cause, attemptTimeout), writes: null }
  })

/** What an attempt fails with that took longer than it may. */
export const late = Effect.fail("timeout" as const)

/** What a failed attempt means for its order. Total: a defect is folded into a reason, nothing escapes. */
export const outcomeOfFailure = (
  order: ProcessingOrder,
  cause: Cause.Cause<AttemptError | WritesRefused | "timeout">,
  attemptTimeout: Duration.Duration
): Effect.Effect<Outcome> => {
  const error = Cause.findErrorOption(cause)
  if (error._tag === "None") return retryOrFail(order, failure("DEFECT", defectReason(cause)))
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
    case "WritesRefused":
      return retryOrFail(
        order,
        failure("PROCESSING_FAILED", `The writes were refused: ${error.value.reason}`)
      )
    case "PermanentFailure":
      return Effect.succeed(failed(failure("PERMANENT", error.value.reason)))
    case "Snooze": {
      const { delay, reason } = error.value
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
