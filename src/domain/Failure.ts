import { Schema } from "effect"

/**
 * Why an attempt failed, as a stable code for programs. PROCESSING_FAILED and PERMANENT: the processor reported a
 * failure; TIMEOUT: the attempt reached its time limit; WORKER_LOST: the lease ended; DEFECT: the processor threw;
 * UNDECODABLE: the stored payload does not fit the schema; CANCELLED: the order was cancelled; SIMULATED: a failure of
 * the simulated processor.
 */
export const ReasonCode = Schema.Literals([
  "PROCESSING_FAILED",
  "PERMANENT",
  "TIMEOUT",
  "WORKER_LOST",
  "DEFECT",
  "UNDECODABLE",
  "CANCELLED",
  "SIMULATED"
])
export type ReasonCode = typeof ReasonCode.Type

/** Why an attempt failed: the code, and a sentence of at most {@link maxReasonLength} characters. */
export interface Failure {
  readonly reasonCode: ReasonCode
  readonly reason: string
}

/** The longest reason kept, in characters (Unicode code points). */
export const maxReasonLength = 2000

/** The first `max` characters (Unicode code points) of a text. */
export const cutText = (text: string, max: number): string =>
  text.length <= max
    ? text
    : Array.from(text.slice(0, 2 * max))
        .slice(0, max)
        .join("")

/**
 * Makes any text storable as a reason. PostgreSQL rejects U+0000 and lone surrogates. One statement stores
 * the outcomes of many attempts, and a single such character would make that statement fail. So each such
 * character is replaced by U+FFFD.
 */
export const cleanReason = (text: string): string =>
  cutText(text, maxReasonLength).replaceAll("\u0000", "\uFFFD").toWellFormed()

/** A failure with a storable reason. Every failure is created by this function. */
export const failure = (reasonCode: ReasonCode, reason: string): Failure => ({
  reasonCode,
  reason: cleanReason(reason)
})

/** The failure of an attempt whose lease ended. */
export const workerLost = failure(
  "WORKER_LOST",
  "The worker was lost: its lease ran out before the attempt ended."
)

/** The reason of an order that was cancelled without a reason. */
export const defaultCancelReason = "Cancelled."
