import { Effect, type Schema } from "effect"
import type { NewOrder } from "../../domain/Order.ts"
import type {
  GroupOverloaded,
  IdempotencyMismatch,
  OrdersUnavailable,
  Overloaded,
  TextNotStorable
} from "../../domain/OrderErrors.ts"
import { OrderId } from "../../domain/OrderId.ts"
import type { OrderTypes } from "../../domain/OrderTypes.ts"
import { timed } from "../../concurrency/Measure.ts"
import { IntakeStore, type KeyedOrders } from "../ports/IntakeStore.ts"
import { makeBackpressure } from "./Backpressure.ts"
import {
  awaitAnswer,
  decodeKey,
  type Idempotency,
  IdempotencyTtl,
  makeFingerprint,
  replay,
  type Replayable
} from "./Idempotency.ts"
import { makeInsertBatcher } from "./InsertBatcher.ts"
import { createSeconds } from "./IntakeMetrics.ts"
import { makeNewOrder, type Submission } from "./Submission.ts"

/**
 * Why a submit fails. `SchemaError`: the platform does not have the type, the payload cannot be encoded or is too
 * large, or the ordering key, the group or the idempotency key is invalid.
 */
export type SubmitError = SubmitManyError | GroupOverloaded

/** Why a submit of many orders fails. */
export type SubmitManyError = OrdersUnavailable | Overloaded | TextNotStorable | Schema.SchemaError

/**
 * Checks for backpressure, then stores new orders. Once the effect has succeeded, they are committed, or, if
 * the caller is in a transaction, written in that transaction.
 */
export const makeStoreOrders = Effect.gen(function* () {
  const store = yield* IntakeStore
  const backpressure = yield* makeBackpressure
  const { insert, insertOnce } = yield* makeInsertBatcher(backpressure)
  const { refusalOfGroup } = backpressure

  const storeOrders = (orders: ReadonlyArray<NewOrder>) =>
    Effect.flatMap(
      backpressure.refusal(orders),
      (refusal): Effect.Effect<void, OrdersUnavailable | Overloaded | TextNotStorable> => {
        if (refusal !== null) return Effect.fail(refusal)
        return orders.length === 0 ? Effect.void : insert(orders)
      }
    ).pipe(timed(createSeconds))

  /** The answer that is stored under the key. Fails with the refusal if there is none. */
  const answerOr = <E>(keyed: KeyedOrders, refusal: E) =>
    Effect.flatMap(
      store.findAnswer(keyed),
      (answer): Effect.Effect<Replayable<string>, E | IdempotencyMismatch> =>
        answer === null ? Effect.fail(refusal) : replay(keyed, answer)
    )

  const storeOrdersOnce = Effect.fnUntraced(function* (keyed: KeyedOrders) {
    const refusal = yield* backpressure.refusal(keyed.orders)
    if (refusal === null) return yield* replay(keyed, yield* awaitAnswer(insertOnce(keyed)))
    // A repetition of an earlier call stores nothing, so it gets its answer even if new orders are refused.
    return yield* answerOr(keyed, refusal)
  }, timed(createSeconds))

  const storeOrder = Effect.fnUntraced(function* (order: NewOrder) {
    const refusal = yield* refusalOfGroup(order)
    return refusal === null ? yield* storeOrders([order]) : yield* refusal
  })

  const storeOrderOnce = Effect.fnUntraced(function* (order: NewOrder, keyed: KeyedOrders) {
    const refusal = yield* refusalOfGroup(order)
    return refusal === null ? yield* storeOrdersOnce(keyed) : yield* answerOr(keyed, refusal)
  })

  return {
    /** Stores these orders, all or none. Does not check their groups. */
    storeOrders,
    /**
     * Stores the orders of a key, all or none, if the key is free. Does not check their groups. Returns the answer that
     * is stored under the key.
     */
    storeOrdersOnce,
    /** Like `storeOrders`, unless the group of the order is overloaded. */
    storeOrder: (order: NewOrder) => (order.group === null ? storeOrders([order]) : storeOrder(order)),
    /** Like `storeOrdersOnce`, unless the group of the order is overloaded. */
    storeOrderOnce,
    /** The refusal of this order because of its group; null if the order is accepted. */
    refusalOfGroup
  }
})
export type StoreOrders = Effect.Success<typeof makeStoreOrders>

/** `submit` of the platform for these types. */
export const makeSubmitOrder = Effect.fnUntraced(function* <T>(
  types: OrderTypes<T>,
  { storeOrder, storeOrderOnce }: StoreOrders
) {
  const newOrder = yield* makeNewOrder(types)
  const fingerprint = yield* makeFingerprint
  const keepFor = yield* IdempotencyTtl

  // Without a span, which would cost more than the rest of a submit even if nothing exports it.
  const submitWithoutKey = (submission: Submission<T>) =>
    Effect.flatMap(newOrder(submission), (order) => Effect.as(storeOrder(order), order.id))

  const submitWithKey = Effect.fnUntraced(function* (submission: Submission<T>, idempotency: Idempotency) {
    const { key, scope } = yield* decodeKey({ scope: "submit", ...idempotency })
    const order = yield* newOrder(submission)
    const keyed: KeyedOrders = {
      scope,
      key,
      fingerprint: yield* fingerprint.ofOne(submission, order),
      requestId: order.id,
      orders: [order],
      answer: order.id,
      keepFor
    }
    const { answer, replayed } = yield* storeOrderOnce(order, keyed)
    return { answer: OrderId.make(answer), replayed }
  })

  function submit(submission: Submission<T>): Effect.Effect<OrderId, SubmitError>
  function submit(
    submission: Submission<T>,
    options: { readonly idempotency: Idempotency }
  ): Effect.Effect<Replayable<OrderId>, SubmitError | IdempotencyMismatch>
  function submit(submission: Submission<T>, options?: { readonly idempotency: Idempotency }) {
    return options === undefined
      ? submitWithoutKey(submission)
      : submitWithKey(submission, options.idempotency)
  }
  return submit
})
