import { Schema } from "effect"

/**
 * Why an attempt failed, as a code that programs may depend on.
 * PROCESSING_FAILED and PERMANENT: the processor said so; TIMEOUT: it took longer than the attempt may;
 * WORKER_LOST: the lease ran out; DEFECT: it threw; UNDECODABLE: the stored payload does not fit the schema
 * any more; SIMULATED: the simulated processor failed on purpose.
 */
export const ReasonCode = Schema.Literals([
  "PROCESSING_FAILED",
  "PERMANENT",
  "TIMEOUT",
  "WORKER_LOST",
  "DEFECT",
  "UNDECODABLE",
  "SIMULATED"
])
export type ReasonCode = typeof ReasonCode.Type

/** Why an attempt failed: the code, and a sentence for people of at most {@link maxReasonLength} characters. */
export interface Failure {
  readonly reasonCode: ReasonCode
  readonly reason: string
}

/** The longest reason kept, in characters (Unicode code points). */
export const maxReasonLength = 2000

/** At most so many characters of a text from its start, and no half of one. */
export const cutText = (text: string, max: number): string =>
  text.length <= max
    ? text
    : Array.from(text.slice(0, 2 * max))
        .slice(0, max)
        .join("")

/**
 * Makes any text storable as a reason: PostgreSQL has no U+0000, and JSON no lone surrogates; both would fail
 * the whole batch that the reason is written in, so each becomes U+FFFD.
 */
export const cleanReason = (text: string): string =>
  cutText(text, maxReasonLength).replaceAll("\u0000", "\uFFFD").toWellFormed()

/** A failure whose reason is cleaned; the only way failures are made. */
export const failure = (reasonCode: ReasonCode, reason: string): Failure => ({
  reasonCode,
  reason: cleanReason(reason)
})
