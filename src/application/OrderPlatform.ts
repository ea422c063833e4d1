import { Context, DateTime, Effect, Layer, type Result, type Schema, type Scope, type Stream } from "effect"
import { Digest } from "effect/crypto"
import type { DeadLetter } from "../domain/DeadLetter.ts"
import { cleanReason } from "../domain/Failure.ts"
import type { Order } from "../domain/Order.ts"
import type {
  IdempotencyMismatch,
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrdersUnavailable,
  OrderVersionMismatch,
  Overloaded,
  TooManyWatched
} from "../domain/OrderErrors.ts"
import { endsAttempt, type OrderEvent } from "../domain/OrderEvent.ts"
import type { OrderId } from "../domain/OrderId.ts"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import { explainOrder, maxDueBefore } from "./watch/ExplainOrder.ts"
import { deleteExpiredKeys } from "./upkeep/DeleteExpiredKeys.ts"
import type { Idempotency, Replayable } from "./intake/Idempotency.ts"
import { WakeUp } from "./ports/WakeUp.ts"
import type {
  DeadLetterFilter,
  ListedOrder,
  Listing,
  OrderFilter,
  Page,
  Stats
} from "../domain/OrderQueries.ts"
import { DeadLetterStore } from "./ports/DeadLetterStore.ts"
import { type Backlog, OrderReads } from "./ports/OrderReads.ts"
import type { Stores } from "./ports/Stores.ts"
import { layerPooledRandom } from "./intake/PooledRandom.ts"
import { refreshStats } from "./watch/Stats.ts"
import { reprocessOrder } from "./dead-letters/ReprocessOrder.ts"
import type { Submission, SubmissionRefused, WrongSubmission } from "./intake/Submission.ts"
import { SubmitOrder } from "./intake/SubmitOrder.ts"
import { takeSubmissions } from "./intake/TakeSubmissions.ts"
import { watchOrders } from "./watch/WatchOrder.ts"

// Longer than 150 lines because all that a caller can ask is read in one place.

/** Why a submit may fail. A payload that its own schema does not encode, or a key that is none, is a `SchemaError`. */
export type SubmitError = OrdersUnavailable | Overloaded | Schema.SchemaError

/**
 * All a caller can ask. HTTP routes, command line and embedding apps call this and nothing else. `P` is the
 * payload's type, decoded.
 */
export interface OrderPlatform<in out P> {
  /**
   * Stores the order and returns its id after the commit: from then on it is never lost. With a key it is safe to
   * repeat: the same submission gets the first one's id again, another one `IdempotencyMismatch`.
   */
  readonly submit: {
    (submission: Submission<P>): Effect.Effect<OrderId, SubmitError>
    (
      submission: Submission<P>,
      options: { readonly idempotency: Idempotency }
    ): Effect.Effect<Replayable<OrderId>, SubmitError | IdempotencyMismatch>
  }
  /**
   * Stores up to 1000 orders together and says what became of each, in their order: those whose payload cannot be
   * encoded, or that the caller found wrong already, are refused and hold back no other. A key is for the whole call.
   */
  readonly submitMany: (
    submissions: ReadonlyArray<Submission<P> | WrongSubmission>,
    options?: { readonly idempotency?: Idempotency }
  ) => Effect.Effect<
    Replayable<ReadonlyArray<Result.Result<OrderId, SubmissionRefused>>>,
    SubmitError | IdempotencyMismatch
  >
  readonly find: (id: OrderId) => Effect.Effect<Order, OrderNotFound | OrdersUnavailable>
  /** Every transition of the order, oldest first. */
  readonly timeline: (
    id: OrderId
  ) => Effect.Effect<ReadonlyArray<OrderEvent>, OrderNotFound | OrdersUnavailable>
  /** The timeline, and one sentence on why the order is not running or done right now. */
  readonly explain: (
    id: OrderId
  ) => Effect.Effect<
    { readonly events: ReadonlyArray<OrderEvent>; readonly explanation: string },
    OrderNotFound | OrdersUnavailable
  >
  /**
   * Every transition of the order after the version `after` (0 by default), oldest first, then each as it happens,
   * whichever process it happens in; ends once the order is PROCESSED or FAILED and all of it was given. It outlives
   * trouble with the store. Open until its scope closes; `Stream.unwrap` makes one stream of it. Of `MaxWatched` that
   * are open at the same time one `caller`, if it is named, may have half.
   */
  readonly watch: (
    id: OrderId,
    options?: { readonly after?: number; readonly caller?: string }
  ) => Effect.Effect<
    Stream.Stream<OrderEvent>,
    OrderNotFound | OrdersUnavailable | TooManyWatched,
    Scope.Scope
  >
  /** A page of the orders that the filter lets through, newest first. */
  readonly list: (page: Page, filter?: OrderFilter) => Effect.Effect<Listing<ListedOrder>, OrdersUnavailable>
  /** A page of the dead letters that the filter lets through, newest first. */
  readonly deadLetters: (
    page: Page,
    filter?: DeadLetterFilter
  ) => Effect.Effect<Listing<DeadLetter>, OrdersUnavailable>
  /** One entry, with the events that ended its attempts. */
  readonly deadLetter: (
    id: OrderId
  ) => Effect.Effect<
    DeadLetter & { readonly attempts: ReadonlyArray<OrderEvent> },
    OrderNotFound | OrderNotInDeadLetterQueue | OrdersUnavailable
  >
  /** Takes the order out of the dead letter queue and makes it due again with all its attempts. */
  readonly reprocess: (
    id: OrderId,
    options?: { readonly ifVersion?: number }
  ) => Effect.Effect<
    Order,
    OrderNotFound | OrderNotInDeadLetterQueue | OrderVersionMismatch | OrdersUnavailable
  >
  /**
   * Takes the order out of the dead letter queue for good; it stays FAILED. The reason is cleaned and cut as those of
   * failures are, and kept in its history.
   */
  readonly discard: (
    id: OrderId,
    options?: { readonly reason?: string; readonly ifVersion?: number }
  ) => Effect.Effect<
    Order,
    OrderNotFound | OrderNotInDeadLetterQueue | OrderVersionMismatch | OrdersUnavailable
  >
  /** What waits and what runs. */
  readonly backlog: Effect.Effect<Backlog, OrdersUnavailable>
  /** Figures of all orders, at most a second old. */
  readonly stats: Effect.Effect<Stats, OrdersUnavailable>
  /** Succeeds if the store of orders answers. */
  readonly ping: Effect.Effect<void, OrdersUnavailable>
}

/** The service key of the platform of these orders. */
const service = <P>(payload: OrderPayload<P>): Context.Service<OrderPlatform<P>, OrderPlatform<P>> =>
  Context.Service<OrderPlatform<P>>(`order-platform/application/OrderPlatform/${payload.key}`)

/** The platform of these orders on a repository, and a queue that tells workers, here or elsewhere. */
const layer = <P>(payload: OrderPayload<P>): Layer.Layer<OrderPlatform<P>, never, Stores | WakeUp> =>
  Layer.effect(
    service(payload),
    Effect.gen(function* () {
      const reads = yield* OrderReads
      const store = yield* DeadLetterStore
      const context = yield* Effect.context<DeadLetterStore | WakeUp>()
      const take = yield* takeSubmissions(payload)
      yield* deleteExpiredKeys
      const watch = yield* watchOrders
      const stats = yield* refreshStats(reads.stats)

      function submit(submission: Submission<P>): Effect.Effect<OrderId, SubmitError>
      function submit(
        submission: Submission<P>,
        options: { readonly idempotency: Idempotency }
      ): Effect.Effect<Replayable<OrderId>, SubmitError | IdempotencyMismatch>
      function submit(submission: Submission<P>, options?: { readonly idempotency: Idempotency }) {
        return options === undefined
          ? take.submit(submission)
          : take.submitOnce(submission, options.idempotency)
      }

      return {
        submit,
        submitMany: (submissions, options) => take.submitMany(submissions, options?.idempotency),
        find: reads.find,
        timeline: reads.timeline,
        explain: Effect.fnUntraced(function* (id) {
          const order = yield* reads.find(id)
          const events = yield* reads.timeline(id)
          const dueBefore =
            order.status === "PENDING" ? yield* reads.countDueBefore(id, maxDueBefore + 1) : null
          return { events, explanation: explainOrder(order, events, dueBefore, yield* DateTime.now) }
        }),
        watch,
        list: reads.list,
        deadLetters: store.list,
        deadLetter: Effect.fnUntraced(function* (id) {
          const entry = yield* store.find(id)
          const events = yield* reads.timeline(id)
          return { ...entry, attempts: events.filter(endsAttempt) }
        }),
        reprocess: (id, options) => Effect.provideContext(reprocessOrder(id, options), context),
        discard: (id, { ifVersion, reason } = {}) =>
          store.discard(id, {
            ...(ifVersion === undefined ? {} : { ifVersion }),
            ...(reason === undefined ? {} : { reason: cleanReason(reason) })
          }),
        backlog: reads.backlog,
        stats,
        ping: reads.ping
      } satisfies OrderPlatform<P>
    })
  ).pipe(Layer.provide([Layer.fresh(SubmitOrder.layer), layerPooledRandom, Digest.layerWebCrypto]))

/**
 * The platform for an app that has no worker and needs none to be told: a script, a scheduled job, an operator's tool. It
 * wants nothing but the orders themselves, listens to nobody and announces to nobody; workers elsewhere find what
 * it submits when they next look, within their poll interval. To have them told at once, use `layer` with a queue.
 */
const layerClientOnly = <P>(payload: OrderPayload<P>): Layer.Layer<OrderPlatform<P>, never, Stores> =>
  Layer.provide(
    layer(payload),
    Layer.succeed(WakeUp, WakeUp.of({ announce: () => Effect.void, awaitAnnouncement: Effect.never }))
  )

export const OrderPlatform = { service, layer, layerClientOnly }
