import { Context, DateTime, Schema } from "effect"
import type { NewOrder } from "../../domain/Order.ts"

/** How many attempts an order gets when its submitter does not say: failed attempts until FAILED. */
export const DefaultMaxRetries = Context.Reference<number>("order-platform/application/DefaultMaxRetries", {
  defaultValue: () => 3
})

/** What a submitter may say about an order. */
export interface Submission<P> {
  readonly payload: P
  /** 0 to 9, higher first; 0 by default. */
  readonly priority?: number
  /** Not due before this time; past means now. */
  readonly notBefore?: DateTime.Utc
  /** 0 to 100; `DefaultMaxRetries` by default, resolved now and stored with the order. */
  readonly maxRetries?: number
  readonly metadata?: Readonly<Record<string, string>>
  /** Stored with the order and in every log line about it; made up if absent. */
  readonly correlationId?: string
}

/** Why one of many submissions was not taken: its issues, with their paths inside that submission. */
export class SubmissionRefused extends Schema.TaggedError<SubmissionRefused>()("SubmissionRefused", {
  issues: Schema.Array(
    Schema.Struct({
      path: Schema.Array(Schema.Union([Schema.String, Schema.Int])),
      message: Schema.String
    })
  ),
  /** How many more there are. */
  unlisted: Schema.optionalKey(Schema.Int)
}) {
  override get message() {
    return this.issues.map(({ message, path }) => `${path.join(".")}: ${message}`).join("; ")
  }
}

/**
 * One of many that its caller has found wrong already: it keeps its place among the answers. `given` is what makes two
 * of these the same request.
 */
export interface WrongSubmission {
  readonly refused: SubmissionRefused
  readonly given: unknown
}

/**
 * What makes two requests for this order the same: everything that was asked for but the correlation id, and nothing
 * that says no more than the default. Except `maxRetries`, whose default is a setting.
 */
export const askedFor = (order: NewOrder) => ({
  payload: order.payload,
  priority: order.priority === 0 ? undefined : order.priority,
  notBefore: order.notBefore === null ? undefined : DateTime.formatIso(order.notBefore),
  metadata: Object.keys(order.metadata).length === 0 ? undefined : order.metadata
})
