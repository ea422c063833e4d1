import { Context, Data, type Duration, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql"
import type { ReasonCode } from "../../domain/Failure.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import type { OrderPayload } from "../../domain/OrderPayload.ts"

/** One attempt at one order, as the processor sees it. */
export interface Attempt<P> {
  readonly orderId: OrderId
  /** The same on every attempt and after a reprocess: hand it to outside services as their idempotency key. */
  readonly effectKey: string
  readonly payload: P
  /** From 1; counts failed attempts. */
  readonly attempt: number
  readonly maxRetries: number
  readonly metadata: Readonly<Record<string, string>>
  readonly correlationId: string
}

/** The attempt failed and may be made again: after `retryIn`, or as the retry policy says. Costs one attempt. */
export class RetryableFailure extends Data.TaggedError("RetryableFailure")<{
  readonly reason: string
  readonly retryIn?: Duration.Duration
  readonly reasonCode?: Extract<ReasonCode, "PROCESSING_FAILED" | "SIMULATED">
}> {}

/** The attempt failed and no other can succeed: the order goes to the dead letter queue at once. */
export class PermanentFailure extends Data.TaggedError("PermanentFailure")<{ readonly reason: string }> {}

/** Not now: the order waits for the given time and this attempt costs nothing. */
export class Snooze extends Data.TaggedError("Snooze")<{
  readonly delay: Duration.Duration
  readonly reason?: string
}> {}

/**
 * What a successful attempt may hand to the platform: an effect that writes to the same database, by the app's own
 * SQL client. It runs after the processor has ended, in one short transaction with the outcome: both are
 * committed or neither, and never by a worker that lost its lease. Its failure is the attempt's; an error of the
 * database that will pass is tried again.
 */
export class Writes extends Data.TaggedClass("Writes")<{
  readonly writes: Effect.Effect<unknown, AttemptError | SqlError.SqlError>
}> {}

/** All a processor may fail with. The union is closed: an error that is not classified does not compile. */
export type AttemptError = RetryableFailure | PermanentFailure | Snooze

/**
 * The work that an order stands for; what an embedding app supplies. It runs at least once an order: after a
 * crash or a lost lease it runs again with the same `effectKey`. No transaction is open while it runs. It is
 * interrupted when the attempt takes too long, the lease is lost or the drain deadline has passed.
 */
export interface OrderProcessor<in out P> {
  readonly process: (attempt: Attempt<P>) => Effect.Effect<void | Writes, AttemptError>
}

/** The service key of the processor of these orders. */
const service = <P>(payload: OrderPayload<P>): Context.Service<OrderProcessor<P>, OrderProcessor<P>> =>
  Context.Service<OrderProcessor<P>>(`order-platform/application/ports/OrderProcessor/${payload.key}`)

// As Effect.provideContext, for effects that mostly run in one and the same context: the two are merged once for all.
const provideOften = <R>(context: Context.Context<R>) => {
  let given: Context.Context<never> | null = null
  let merged: Context.Context<R> = context
  return <A, E>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E> =>
    Effect.updateContext(effect, (outer: Context.Context<never>) => {
      if (outer !== given) {
        given = outer
        merged = Context.merge(outer, context)
      }
      return merged
    })
}

/** A layer of a processor from its function, which may need services of its own. */
const layer = <P, R = never>(
  payload: OrderPayload<P>,
  process: (attempt: Attempt<P>) => Effect.Effect<void | Writes, AttemptError, R>
): Layer.Layer<OrderProcessor<P>, never, R> =>
  Layer.effect(
    service(payload),
    Effect.contextWith((context: Context.Context<R>) =>
      Effect.sync(() => {
        const provide = provideOften(context)
        return { process: (attempt: Attempt<P>) => provide(process(attempt)) }
      })
    )
  )

export const OrderProcessor = { service, layer }
