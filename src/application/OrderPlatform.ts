import { Context, Effect, Layer, type Result, type Schema, type Scope, type Stream } from "effect"
import { Digest } from "effect/crypto"
import type { AuditEntry, Operator } from "../domain/Audit.ts"
import type { DeadLetter } from "../domain/DeadLetter.ts"
import type { FailureGroup, FailureGroupPosition } from "../domain/FailureGroup.ts"
import type { Group, LimitsToSet } from "../domain/Groups.ts"
import type { Order } from "../domain/Order.ts"
import type {
  FailureGroupNotFound,
  GroupNotFound,
  GroupOverloaded,
  IdempotencyMismatch,
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrderStateConflict,
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
import type { Pause } from "../domain/Pauses.ts"
import type { RegisteredWorker } from "../domain/Workers.ts"
import { cancelOrder } from "./control/CancelOrder.ts"
import { deleteGroupLimits, listGroups, setGroupLimits } from "./control/GroupLimits.ts"
import { type PauseRequest, pauseWorkers } from "./control/PauseWorkers.ts"
import { readAudit } from "./control/ReadAudit.ts"
import { resumeWorkers } from "./control/ResumeWorkers.ts"
import { runOrder } from "./control/RunOrder.ts"
import type { Scope as PauseScope } from "./control/Scope.ts"
import { discardOrder } from "./dead-letters/DiscardOrder.ts"
import { listFailureGroups, markFixed, type MarkFixedOptions } from "./dead-letters/FailureGroups.ts"
import { findDeadLetter } from "./dead-letters/FindDeadLetter.ts"
import { reprocessOrder } from "./dead-letters/ReprocessOrder.ts"
import type { Idempotency, Replayable } from "./intake/Idempotency.ts"
import { layerPooledRandom } from "./intake/PooledRandom.ts"
import type { Submission, SubmissionRefused, WrongSubmission } from "./intake/Submission.ts"
import {
  makeStoreOrders,
  makeSubmitOrder,
  type SubmitError,
  type SubmitManyError
} from "./intake/SubmitOrder.ts"
import { makeSubmitOrders } from "./intake/SubmitOrders.ts"
import { ControlStore } from "./ports/ControlStore.ts"
import { DeadLetterStore } from "./ports/DeadLetterStore.ts"
import { type Backlog, OrderReads } from "./ports/OrderReads.ts"
import type { Stores } from "./ports/Stores.ts"
import { UpkeepStore } from "./ports/UpkeepStore.ts"
import { WakeUp } from "./ports/WakeUp.ts"
import { deleteHourly } from "./upkeep/DeleteHourly.ts"
import { explainOrder } from "./watch/ExplainOrder.ts"
import { makeWatchOrder } from "./watch/WatchOrder.ts"

export type { PauseRequest } from "./control/PauseWorkers.ts"
export type { MarkFixedOptions } from "./dead-letters/FailureGroups.ts"
export type { SubmitError, SubmitManyError } from "./intake/SubmitOrder.ts"

type ReadError = OrderNotFound | OrdersUnavailable
type ControlError = OrdersUnavailable | Schema.SchemaError
type DeadLetterError = ReadError | OrderNotInDeadLetterQueue

/**
 * All operations on orders. HTTP routes and embedding apps call only this interface. `T` has the decoded payload of
 * each order type under its name, for example `{ invoice: Invoice; email: Email }`.
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
   * A refused submission, also one whose group is overloaded, does not affect the others. An idempotency key applies to
   * the whole call.
   */
  readonly submitMany: (
    submissions: ReadonlyArray<Submission<T> | WrongSubmission>,
    options?: { readonly idempotency?: Idempotency }
  ) => Effect.Effect<
    Replayable<ReadonlyArray<Result.Result<OrderId, SubmissionRefused | GroupOverloaded>>>,
    SubmitManyError | IdempotencyMismatch
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
   * A page of the failure groups that have dead letters, the largest first. A group whose count changes between two
   * pages may be in both or in none.
   */
  readonly failureGroups: (
    page: Page<FailureGroupPosition>
  ) => Effect.Effect<Listing<FailureGroup, FailureGroupPosition>, OrdersUnavailable>
  /**
   * Marks a failure group as fixed from now on. It regresses with the next dead letter from a process that was
   * registered after the mark or, if a version is given, from one that reports this version.
   */
  readonly markFixed: (
    fingerprint: string,
    options?: MarkFixedOptions
  ) => Effect.Effect<FailureGroup, FailureGroupNotFound | OrdersUnavailable>
  /**
   * Removes the order from the dead letter queue and makes it due again, with its number of failed attempts
   * reset to zero. `operator` is recorded in the audit.
   */
  readonly reprocess: (
    id: OrderId,
    options?: { readonly ifVersion?: number; readonly operator?: Operator }
  ) => Effect.Effect<Order, DeadLetterError | OrderVersionMismatch>
  /**
   * Removes the order from the dead letter queue for good; the order stays FAILED. The reason is cleaned
   * (`cleanReason` in domain/Failure.ts) and kept in the order's history.
   */
  readonly discard: (
    id: OrderId,
    options?: { readonly reason?: string; readonly ifVersion?: number; readonly operator?: Operator }
  ) => Effect.Effect<Order, DeadLetterError | OrderVersionMismatch>
  /**
   * Cancels an order that is not final. A PENDING order is FAILED at once. The attempt of a running order is
   * interrupted, and the order is cancelled unless the attempt completes. In both cases the order is not retried and
   * does not become a dead letter. A second cancel changes nothing. Fails with `OrderStateConflict` if the order became
   * final without a cancel. The reason is cleaned like that of `discard`.
   */
  readonly cancel: (
    id: OrderId,
    options?: { readonly reason?: string; readonly ifVersion?: number }
  ) => Effect.Effect<Order, ReadError | OrderStateConflict | OrderVersionMismatch>
  /**
   * Makes a PENDING order that is not due yet due now. It still waits behind earlier orders of its ordering key. Fails
   * with `OrderStateConflict` if the order is not PENDING or already due.
   */
  readonly run: (id: OrderId, operator?: Operator) => Effect.Effect<Order, ReadError | OrderStateConflict>
  /**
   * Keeps the orders of a scope from starting, in every process, until `resume` is called or `resumeAt` is reached.
   * Running attempts are not affected. A pause replaces an earlier one of the same scope. Fails with `SchemaError` if
   * no order can have the type or group.
   */
  readonly pause: (request: PauseRequest, operator?: Operator) => Effect.Effect<void, ControlError>
  /** Ends the pause of exactly this scope; does nothing if there is none. */
  readonly resume: (scope?: PauseScope, operator?: Operator) => Effect.Effect<void, ControlError>
  /** The pauses in force, oldest first. */
  readonly pauses: Effect.Effect<ReadonlyArray<Pause>, OrdersUnavailable>
  /** The processes that work on orders, as they last reported themselves; at most 1000. */
  readonly workers: Effect.Effect<ReadonlyArray<RegisteredWorker>, OrdersUnavailable>
  /** The types of due orders that no worker takes, by name; at most 100. */
  readonly typesWithoutWorker: Effect.Effect<ReadonlyArray<string>, OrdersUnavailable>
  /**
   * Sets the limits of a group in every process, and replaces those set before. Fails with `SchemaError` if the name or
   * a limit is invalid.
   */
  readonly setGroupLimits: (
    group: string,
    limits: LimitsToSet,
    operator?: Operator
  ) => Effect.Effect<Group, ControlError>
  /** Removes the limits set for a group, so that it has the default limits. */
  readonly deleteGroupLimits: (
    group: string,
    operator?: Operator
  ) => Effect.Effect<void, GroupNotFound | OrdersUnavailable>
  /** A page of the groups for which limits were set, by name. */
  readonly groups: (page: Page<string>) => Effect.Effect<Listing<Group, string>, OrdersUnavailable>
  /** A page of the audit, newest entry first. */
  readonly audit: (page: Page<number>) => Effect.Effect<Listing<AuditEntry, number>, OrdersUnavailable>
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

/** The calls about the dead letter queue. */
const deadLetterCalls = (context: Context.Context<DeadLetterStore | OrderReads | WakeUp>) =>
  ({
    deadLetters: Context.get(context, DeadLetterStore).list,
    deadLetter: (id) => Effect.provideContext(findDeadLetter(id), context),
    failureGroups: (page) => Effect.provideContext(listFailureGroups(page), context),
    markFixed: (fingerprint, options) => Effect.provideContext(markFixed(fingerprint, options), context),
    reprocess: (id, options) => Effect.provideContext(reprocessOrder(id, options), context),
    discard: (id, options) => Effect.provideContext(discardOrder(id, options), context)
  }) satisfies Partial<OrderPlatform<never>>

/** The calls that cancel orders and control which orders may start. */
const controlCalls = (context: Context.Context<ControlStore | WakeUp>) => {
  const store = Context.get(context, ControlStore)
  return {
    cancel: (id, options) => Effect.provideContext(cancelOrder(id, options), context),
    run: (id, operator) => Effect.provideContext(runOrder(id, operator), context),
    pause: (request, operator) => Effect.provideContext(pauseWorkers(request, operator), context),
    resume: (scope = {}, operator) => Effect.provideContext(resumeWorkers(scope, operator), context),
    pauses: store.pauses,
    workers: store.workers,
    typesWithoutWorker: store.typesWithoutWorker,
    setGroupLimits: (group, limits, operator) =>
      Effect.provideContext(setGroupLimits(group, limits, operator), context),
    deleteGroupLimits: (group, operator) =>
      Effect.provideContext(deleteGroupLimits(group, operator), context),
    groups: (page) => Effect.provideContext(listGroups(page), context),
    audit: (page) => Effect.provideContext(readAudit(page), context)
  } satisfies Partial<OrderPlatform<never>>
}

/** The platform for these types. The `WakeUp` announces new orders to workers, in this process or in others. */
const layer = <T>(types: OrderTypes<T>): Layer.Layer<OrderPlatform<T>, never, Stores | WakeUp> =>
  Layer.effect(
    service(types),
    Effect.gen(function* () {
      const reads = yield* OrderReads
      const context = yield* Effect.context<ControlStore | DeadLetterStore | OrderReads | WakeUp>()
      const storeOrders = yield* makeStoreOrders
      const upkeep = yield* UpkeepStore
      yield* deleteHourly(upkeep.deleteExpiredKeys)
      yield* deleteHourly(upkeep.deleteIdleGroups)
      yield* deleteHourly(upkeep.deleteIdleFailureGroups)
      return {
        submit: yield* makeSubmitOrder(types, storeOrders),
        submitMany: yield* makeSubmitOrders(types, storeOrders),
        find: reads.find,
        timeline: reads.timeline,
        explain: (id) => Effect.provideContext(explainOrder(id), context),
        watch: yield* makeWatchOrder,
        list: reads.list,
        ...deadLetterCalls(context),
        ...controlCalls(context),
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
