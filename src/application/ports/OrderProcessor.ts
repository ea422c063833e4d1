import { Context, Data, type Duration, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql"
import type { ReasonCode } from "../../domain/Failure.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import type { OrderType } from "../../domain/OrderType.ts"

/** One attempt at one order of the type `N`, as the processor receives it. */
export interface Attempt<P, N extends string = string> {
  readonly orderId: OrderId
  /**
   * The same for every attempt at the order, also after the order was reprocessed from the dead letter queue.
   * Send it to other services as their idempotency key.
   */
  readonly effectKey: string
  readonly type: N
  readonly orderingKey: string | null
  readonly group: string | null
  readonly payload: P
  /** Failed attempts so far + 1. */
  readonly attempt: number
  readonly maxRetries: number
  readonly metadata: Readonly<Record<string, string>>
  readonly correlationId: string
}

/**
 * The attempt failed and may be repeated: after `retryIn`, or after the delay of the retry policy. Costs one
 * attempt.
 */
export class RetryableFailure extends Data.TaggedError("RetryableFailure")<{
  readonly reason: string
  readonly retryIn?: Duration.Duration
  readonly reasonCode?: Extract<ReasonCode, "PROCESSING_FAILED" | "SIMULATED">
}> {}

/** The attempt failed and no further attempt can succeed. The order becomes FAILED, with a dead letter, at once. */
export class PermanentFailure extends Data.TaggedError("PermanentFailure")<{ readonly reason: string }> {}

/** Postpones the order by `delay`. The attempt is not counted. */
export class Snooze extends Data.TaggedError("Snooze")<{
  readonly delay: Duration.Duration
  readonly reason?: string
}> {}

/**
 * Writes that a successful attempt may return: changes that the app makes in the platform's database with its
 * own SQL client. They run after the processor, in one short transaction that also stores the outcome. The
 * writes and the outcome are committed together or not at all, and not at all if the worker has lost its
 * lease. If the writes fail, the attempt fails; after a transient database error the writes are run again.
 */
export class Writes extends Data.TaggedClass("Writes")<{
  readonly writes: Effect.Effect<unknown, AttemptError | SqlError.SqlError>
}> {}

/** The errors of a processor. The union is closed, so that every error of the app must be classified. */
export type AttemptError = RetryableFailure | PermanentFailure | Snooze

/**
 * The work for one order of the type `N`, supplied by the app. It runs at least once: after a crash or a lost lease it
 * runs again with the same `effectKey`. No transaction is open while it runs. It is interrupted at the time limit of
 * the attempt, when the lease is lost, and when the drain timeout of a stopping worker has passed.
 */
export interface OrderProcessor<in out N extends string, in out P> {
  readonly process: (attempt: Attempt<P, N>) => Effect.Effect<void | Writes, AttemptError>
}

/** The processors that a worker for these types needs: one for each type. */
export type ProcessorsOf<T> = {
  [N in keyof T & string]: OrderProcessor<N, T[N]>
}[keyof T & string]

/** The service key of the processor for this type. */
const service = <N extends string, P>(
  type: OrderType<N, P>
): Context.Service<OrderProcessor<N, P>, OrderProcessor<N, P>> =>
  Context.Service<OrderProcessor<N, P>>(`order-platform/application/ports/OrderProcessor/${type.key}`)

// Like Effect.provideContext, but merges `context` into the context of the fiber only once for all attempts
// that run in the same context. A worker starts all its attempts in one context. Merging for each attempt
// would take 7 µs with 40 services; an order takes roughly 75 µs of CPU time while a backlog is processed.
const provideMerged = <R>(context: Context.Context<R>) => {
  let lastOuter: Context.Context<never> | null = null
  let merged: Context.Context<R> = context
  return <A, E>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E> =>
    Effect.updateContext(effect, (outer: Context.Context<never>) => {
      if (outer !== lastOuter) {
        lastOuter = outer
        merged = Context.merge(outer, context)
      }
      return merged
    })
}

/** Makes the layer of a processor from a function. The function gets its services from the layer's context. */
const layer = <N extends string, P, R = never>(
  type: OrderType<N, P>,
  process: (attempt: Attempt<P, N>) => Effect.Effect<void | Writes, AttemptError, R>
): Layer.Layer<OrderProcessor<N, P>, never, R> =>
  Layer.effect(
    service(type),
    Effect.map(Effect.context<R>(), (context) => {
      const provide = provideMerged(context)
      return { process: (attempt: Attempt<P, N>) => provide(process(attempt)) }
    })
  )

export const OrderProcessor = { service, layer }
