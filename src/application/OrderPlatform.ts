import { Context, Effect, Layer, type Result, type Scope, type Stream } from "effect"
import { Digest } from "effect/crypto"
import type { DeadLetter } from "../domain/DeadLetter.ts"
import type { Order } from "../domain/Order.ts"
import type {
  IdempotencyMismatch,
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrdersUnavailable,
  OrderVersionMismatch,
  TooManyWatched
} from "../domain/OrderErrors.ts"
import type { OrderEvent } from "../domain/OrderEvent.ts"
import type { OrderId } from "../domain/OrderId.ts"
import type { OrderTypes } from "../domain/OrderTypes.ts"
import type {
  DeadLetterFilter,
  ListedOrder,
  Listing,
  OrderFilter,
  Page,
  Stats
} from "../domain/OrderQueries.ts"
import { discardOrder } from "./dead-letters/DiscardOrder.ts"
import { findDeadLetter } from "./dead-letters/FindDeadLetter.ts"
import { reprocessOrder } from "./dead-letters/ReprocessOrder.ts"
import type { Idempotency, Replayable } from "./intake/Idempotency.ts"
import { layerPooledRandom } from "./intake/PooledRandom.ts"
import type { Submission, SubmissionRefused, WrongSubmission } from "./intake/Submission.ts"
import { makeStoreOrders, makeSubmitOrder, type SubmitError } from "./intake/SubmitOrder.ts"
import { makeSubmitOrders } from "./intake/SubmitOrders.ts"
import { DeadLetterStore } from "./ports/DeadLetterStore.ts"
import { type Backlog, OrderReads } from "./ports/OrderReads.ts"
import type { Stores } from "./ports/Stores.ts"
import { WakeUp } from "./ports/WakeUp.ts"
import { deleteExpiredKeys } from "./upkeep/DeleteExpiredKeys.ts"
import { explainOrder } from "./watch/ExplainOrder.ts"
import { makeWatchOrder } from "./watch/WatchOrder.ts"

export type { SubmitError } from "./intake/SubmitOrder.ts"

type ReadError = OrderNotFound | OrdersUnavailable
type DeadLetterError = ReadError | OrderNotInDeadLetterQueue

/**
 * All operations on orders. HTTP routes and embedding apps call only this interface. `T` has the decoded payload of each
 * order type under its name, for example `{ invoice: Invoice; email: Email }`.
 */
export interface OrderPlatform<in out T> {
  /**
   * Stores the order and returns its id after the commit; from then on the order is never lost. In a transaction of
   * the caller it returns before the commit, and the order is stored if the transaction commits. With an
   * idempotency key the call can be repeated safely: the same submission returns the first id again, and a
   * different submission with the same key fails with `IdempotencyMismatch`.
   */
  readonly submit: {
    (submission: Submission<T>): Effect.Effect<OrderId, SubmitError>
    (
      submission: Submission<T>,
      options: { readonly idempotency: Idempotency }
    ): Effect.Effect<Replayable<OrderId>, SubmitError | IdempotencyMismatch>
  }
  /**
   * Stores up to 1000 orders in one commit and returns a result for each, in the sequence of the submissions.
   * A refused submission does not affect the others. An idempotency key applies to the whole call.
   */
  readonly submitMany: (
    submissions: ReadonlyArray<Submission<T> | WrongSubmission>,
    options?: { readonly idempotency?: Idempotency }
  ) => Effect.Effect<
    Replayable<ReadonlyArray<Result.Result<OrderId, SubmissionRefused>>>,
    SubmitError | IdempotencyMismatch
  >
  readonly find: (id: OrderId) => Effect.Effect<Order, ReadError>
  /** Every transition of the order, oldest first. */
  readonly timeline: (id: OrderId) => Effect.Effect<ReadonlyArray<OrderEvent>, ReadError>
  /** The timeline, and one sentence that says that the order is running or done, or why it is not. */
  readonly explain: (
    id: OrderId
  ) => Effect.Effect<{ readonly events: ReadonlyArray<OrderEvent>; readonly explanation: string }, ReadError>
  /**
   * Every transition of the order after the version `after` (0 by default), oldest first, then each new
   * transition, whichever process makes it. The stream ends after the event that made the order PROCESSED or
   * FAILED, or when its scope closes. Errors of the store only delay the stream. `Stream.unwrap` turns the
   * effect into a stream. A named `caller` may have at most half of the `MaxWatched` streams of a process
   * (watch/WatchOrder.ts).
   */
  readonly watch: (
    id: OrderId,
    options?: { readonly after?: number; readonly caller?: string }
  ) => Effect.Effect<Stream.Stream<OrderEvent>, ReadError | TooManyWatched, Scope.Scope>
  /** A page of the orders that match the filter, newest first. */
  readonly list: (page: Page, filter?: OrderFilter) => Effect.Effect<Listing<ListedOrder>, OrdersUnavailable>
  /** A page of the dead letters that match the filter, newest first. */
  readonly deadLetters: (
    page: Page,
    filter?: DeadLetterFilter
  ) => Effect.Effect<Listing<DeadLetter>, OrdersUnavailable>
  /** One dead letter, with the events that ended its attempts. */
  readonly deadLetter: (
    id: OrderId
  ) => Effect.Effect<DeadLetter & { readonly attempts: ReadonlyArray<OrderEvent> }, DeadLetterError>
  /**
   * Removes the order from the dead letter queue and makes it due again, with its number of failed attempts
   * reset to zero.
   */
  readonly reprocess: (
    id: OrderId,
    options?: { readonly ifVersion?: number }
  ) => Effect.Effect<Order, DeadLetterError | OrderVersionMismatch>
  /**
   * Removes the order from the dead letter queue for good; the order stays FAILED. The reason is cleaned
   * (`cleanReason` in domain/Failure.ts) and kept in the order's history.
   */
  readonly discard: (
    id: OrderId,
    options?: { readonly reason?: string; readonly ifVersion?: number }
  ) => Effect.Effect<Order, DeadLetterError | OrderVersionMismatch>
  /** The number of waiting and of running orders. */
  readonly backlog: Effect.Effect<Backlog, OrdersUnavailable>
  /** Figures of all orders, at most a second old. */
  readonly stats: Effect.Effect<Stats, OrdersUnavailable>
  /** Succeeds if the store answers. */
  readonly ping: Effect.Effect<void, OrdersUnavailable>
}

/** The service key of the platform for these types. */
const service = <T>(types: OrderTypes<T>): Context.Service<OrderPlatform<T>, OrderPlatform<T>> =>
  Context.Service<OrderPlatform<T>>(`order-platform/application/OrderPlatform/${types.key}`)

/** The platform for these types. The `WakeUp` announces new orders to workers, in this process or in others. */
const layer = <T>(types: OrderTypes<T>): Layer.Layer<OrderPlatform<T>, never, Stores | WakeUp> =>
  Layer.effect(
    service(types),
    Effect.gen(function* () {
      const reads = yield* OrderReads
      const context = yield* Effect.context<DeadLetterStore | OrderReads | WakeUp>()
      const storeOrders = yield* makeStoreOrders
      yield* deleteExpiredKeys
      return {
        submit: yield* makeSubmitOrder(types, storeOrders),
        submitMany: yield* makeSubmitOrders(types, storeOrders),
        find: reads.find,
        timeline: reads.timeline,
        explain: (id) => Effect.provideContext(explainOrder(id), context),
        watch: yield* makeWatchOrder,
        list: reads.list,
        deadLetters: Context.get(context, DeadLetterStore).list,
        deadLetter: (id) => Effect.provideContext(findDeadLetter(id), context),
        reprocess: (id, options) => Effect.provideContext(reprocessOrder(id, options), context),
        discard: (id, options) => Effect.provideContext(discardOrder(id, options), context),
        backlog: reads.backlog,
        // All callers share one read a second. A failure is cached as well, so that a failing store gets no more reads
        // than a healthy one.
        stats: yield* Effect.cachedWithTTL(reads.stats, "1 second"),
        ping: reads.ping
      } satisfies OrderPlatform<T>
    })
  ).pipe(Layer.provide([layerPooledRandom, Digest.layerWebCrypto]))

/**
 * The platform for an app without a worker, such as a script. It needs only the stores. It announces nothing,
 * so workers in other processes find the orders it stores by polling; to wake those workers at once, use
 * `layer` with a `WakeUp`.
 */
const layerClientOnly = <T>(types: OrderTypes<T>): Layer.Layer<OrderPlatform<T>, never, Stores> =>
  Layer.provide(
    layer(types),
    Layer.succeed(WakeUp, WakeUp.of({ announce: () => Effect.void, awaitAnnouncement: Effect.never }))
  )

export const OrderPlatform = { service, layer, layerClientOnly }
