import { Cause, Data, Duration, Effect, Random } from "effect"
import { cleanReason, type Failure, failure } from "../../domain/Failure.ts"
import { attemptOf, isLastAttempt, type Outcome, type ProcessingOrder } from "../../domain/Order.ts"
import { delayAfter, type RetryPolicy } from "../../domain/RetryPolicy.ts"
import type { AttemptError } from "../ports/OrderProcessor.ts"
import type { WritesRefused } from "../ports/WorkStore.ts"
import type { Attempt } from "./WorkerState.ts"

/** The stored payload does not fit the schema, so no attempt can succeed. */
export class Undecodable extends Data.TaggedError("Undecodable")<{ readonly reason: string }> {}

/** The attempt reached its time limit. */
export class AttemptTimeout extends Data.TaggedError("AttemptTimeout")<{
  readonly limit: Duration.Duration
}> {}

/** All errors of an attempt. */
export type AttemptFailure = AttemptError | Undecodable | AttemptTimeout | WritesRefused

/** The outcome of a failed attempt. Defined for every cause: a defect becomes a failure with the code `DEFECT`. */
export const outcomeOfFailure = (
  { order, typeState: { retryPolicy } }: Pick<Attempt, "order" | "typeState">,
  cause: Cause.Cause<AttemptFailure>
): Effect.Effect<Outcome> => {
  const found = Cause.findErrorOption(cause)
  if (found._tag === "None") return retryOrFail(order, retryPolicy, failure("DEFECT", defectReason(cause)))
  const error = found.value
  switch (error._tag) {
    case "Undecodable":
      return Effect.succeed(failed(failure("UNDECODABLE", error.reason)))
    case "PermanentFailure":
      return Effect.succeed(failed(failure("PERMANENT", error.reason)))
    case "Snooze": {
      const detail = error.reason === undefined ? null : cleanReason(error.reason)
      return Effect.succeed({ event: "snoozed", delay: storableDelay(error.delay), detail })
    }
    case "AttemptTimeout": {
      const reason = `The attempt took longer than ${Duration.format(error.limit)} and was interrupted.`
      return retryOrFail(order, retryPolicy, failure("TIMEOUT", reason))
    }
    case "WritesRefused":
      return retryOrFail(
        order,
        retryPolicy,
        failure("PROCESSING_FAILED", `The writes were refused: ${error.reason}`)
      )
    case "RetryableFailure": {
      const { reason, reasonCode = "PROCESSING_FAILED", retryIn } = error
      return retryOrFail(order, retryPolicy, failure(reasonCode, reason), retryIn)
    }
  }
}

const failed = (failure: Failure): Outcome => ({ event: "failed", failure })

/**
 * The outcome of a failed attempt: FAILED if this was the last attempt, otherwise a retry after the delay
 * that the processor or the retry policy gives.
 */
const retryOrFail = Effect.fnUntraced(function* (
  order: ProcessingOrder,
  retryPolicy: RetryPolicy,
  failure: Failure,
  retryIn?: Duration.Duration
): Effect.fn.Return<Outcome> {
  if (isLastAttempt(order)) return failed(failure)
  if (retryIn !== undefined) return { event: "retried", failure, delay: storableDelay(retryIn) }
  const delay = yield* delayAfter(retryPolicy, attemptOf(order), yield* Random.next)
  return { event: "retried", failure, delay }
})

/**
 * A delay given by a processor, in whole milliseconds and limited to ten years, so that every store can represent the
 * due time.
 */
const storableDelay = (delay: Duration.Duration): Duration.Duration =>
  Duration.millis(Math.round(Math.min(Math.max(0, Duration.toMillis(delay)), Duration.toMillis("3650 days"))))

const defectReason = (cause: Cause.Cause<unknown>): string => {
  const defect = Cause.squash(cause)
  return defect instanceof Error ? `${defect.name}: ${defect.message}` : String(defect)
}
