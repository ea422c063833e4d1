import { Cause, Deferred, Duration, Effect, Exit, Metric, Option } from "effect"
import type { NewOrder } from "../../domain/Order.ts"
import { OrdersUnavailable, type Overloaded, type TextNotStorable } from "../../domain/OrderErrors.ts"
import { makeBatchQueue } from "../../concurrency/BatchQueue.ts"
import { IntakeStore, type KeyedOrders, type StoredAnswer } from "../ports/IntakeStore.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import type { Backpressure } from "./Backpressure.ts"
import { hasTakenKey } from "./Idempotency.ts"
import { ordersCreated } from "./IntakeMetrics.ts"

/**
 * A batch takes no further call once it has this many orders. A call is never split, so the last call in a
 * batch may exceed this number.
 */
const maxBatch = 256

/**
 * The number of orders that may be queued for the next statements. At most the same number of further orders
 * may wait for room in the queue.
 */
export const maxQueued = 4096

/** The longest wait for room in the queue: well below the default time limit of a request, 15 s. */
const offerTimeout = Duration.seconds(5)

/** One call of `insert` or `insertOnce`; its orders are stored together or not at all. */
interface Insert {
  readonly orders: ReadonlyArray<NewOrder>
  readonly keyed: KeyedOrders | null
  readonly size: number
  readonly stored: Deferred.Deferred<StoredAnswer | null, OrdersUnavailable | TextNotStorable>
}

/** The result of a call; null if the call has no key, or if another call is taking the key. */
type Inserted = Effect.Effect<StoredAnswer | null, OrdersUnavailable | Overloaded | TextNotStorable>

const stopping = Effect.fail(
  new OrdersUnavailable({ message: "This process is stopping; repeat the call at another process." })
)

/** Completes the calls of a batch that have no result yet. */
const completeAll = (
  batch: ReadonlyArray<Insert>,
  result: Effect.Effect<never, OrdersUnavailable | TextNotStorable>
): void => {
  for (const { stored } of batch) Deferred.doneUnsafe(stored, result)
}

/** Whether a single order of the batch may be the cause of the failure. */
const isOfOneOrder = (cause: Cause.Cause<OrdersUnavailable | TextNotStorable>): boolean =>
  Cause.hasDies(cause) ||
  Cause.findErrorOption(cause).pipe(Option.exists(({ _tag }) => _tag === "TextNotStorable"))

type Announce = (orders: ReadonlyArray<NewOrder>) => Effect.Effect<void>

/** Writes one batch by one statement, completes its calls and announces what was stored. */
const makeStoreBatch = (announce: Announce) =>
  Effect.map(IntakeStore, (store) => {
    const storeBatch: (batch: ReadonlyArray<Insert>) => Effect.Effect<void> = Effect.fnUntraced(
      function* (batch) {
        const keyed = batch.flatMap((call) => call.keyed ?? [])
        const exit = yield* Effect.exit(
          store.submit(
            batch.flatMap(({ orders }) => orders),
            keyed
          )
        )
        // It is unknown whether the batch was stored, so the message of `stopping` says nothing about that.
        if (Exit.hasInterrupts(exit)) return completeAll(batch, stopping)
        // A row that the store refuses makes the whole statement fail. When each call is written separately,
        // only the call with that row fails.
        if (Exit.isFailure(exit) && isOfOneOrder(exit.cause) && batch.length > 1)
          return yield* Effect.forEach(batch, (call) => storeBatch([call]), { discard: true })
        if (Exit.isFailure(exit)) return completeAll(batch, Exit.failCause(exit.cause))
        yield* announce(complete(batch, exit.value))
      }
    )
    // A defect must neither stop the loop that takes the batches from the queue nor leave a call without a
    // result.
    return (batch: ReadonlyArray<Insert>) =>
      storeBatch(batch).pipe(
        Effect.catchDefect((defect) => {
          completeAll(batch, Effect.die(defect))
          return Effect.logError("Could not store a batch of new orders, or could not announce it", defect)
        }),
        Effect.onInterrupt(() => Effect.sync(() => completeAll(batch, stopping)))
      )
  })

/** Queues calls. A loop writes them in batches: the calls that arrive during one statement are the next batch. */
const makeInsertQueue = Effect.fnUntraced(function* (
  storeBatch: (batch: ReadonlyArray<Insert>) => Effect.Effect<void>,
  queueFull: Backpressure["queueFull"]
) {
  const queue = makeBatchQueue<Insert>(maxQueued, offerTimeout)
  let isClosed = false
  // Runs after the loop has ended, because finalizers run in reverse order.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      completeAll(queue.close(), stopping)
    })
  )
  yield* queue.take(maxBatch).pipe(
    Effect.flatMap((batch) => (batch.length === 0 ? Effect.void : storeBatch(batch))),
    Effect.forever,
    Effect.forkScoped
  )
  return (orders: ReadonlyArray<NewOrder>, keyed: KeyedOrders | null): Inserted => {
    if (isClosed) return stopping
    const size = orders.length + (keyed === null ? 0 : Math.max(1, keyed.orders.length))
    const call: Insert = { orders, keyed, size, stored: Deferred.makeUnsafe() }
    const result = queue.offerUnsafe(call)
      ? Deferred.await(call.stored)
      : Effect.flatMap(queue.offer(call), (isQueued): Inserted =>
          isQueued ? Deferred.await(call.stored) : Effect.flip(queueFull(queue.size()))
        )
    // A call that is interrupted before its batch is taken is not stored, and frees its room in the queue at
    // once.
    return Effect.onInterrupt(result, () => Effect.sync(() => queue.remove(call)))
  }
})

/**
 * Stores new orders and announces them after their commit. Calls that arrive while a statement is running
 * share the next statement. So no timer is needed, and a call that arrives when no statement is running is
 * written at once. Each call returns after its orders are committed, and fails alone if the store refuses its
 * orders. A call made inside a transaction is written in that transaction at once, and announced after the
 * transaction commits.
 */
export const makeInsertBatcher = Effect.fnUntraced(function* ({ queueFull, recordStored }: Backpressure) {
  const store = yield* IntakeStore
  const wakeUp = yield* WakeUp

  const announce: Announce = (orders) =>
    orders.length === 0
      ? Effect.void
      : Metric.update(ordersCreated, orders.length).pipe(
          Effect.andThen(recordStored(orders)),
          Effect.flatMap(wakeUp.announce)
        )

  const insertInBatch = yield* makeInsertQueue(yield* makeStoreBatch(announce), queueFull)

  const insertHere = Effect.fnUntraced(function* (
    orders: ReadonlyArray<NewOrder>,
    keyed: KeyedOrders | null
  ) {
    const [stored = null] = yield* store.submit(orders, keyed === null ? [] : [keyed])
    yield* store.afterCommit(announce(keyed !== null && hasTakenKey(keyed, stored) ? keyed.orders : orders))
    return stored
  })

  const insert = (orders: ReadonlyArray<NewOrder>, keyed: KeyedOrders | null) =>
    Effect.flatMap(store.inTransaction, (inTransaction): Inserted =>
      inTransaction ? insertHere(orders, keyed) : insertInBatch(orders, keyed)
    )

  return {
    /** Stores these orders, all or none. */
    insert: (orders: ReadonlyArray<NewOrder>) => Effect.asVoid(insert(orders, null)),
    /**
     * Stores the orders of a key if the key is free. Returns the answer that is stored under the key, or null
     * while another call is taking the key.
     */
    insertOnce: (keyed: KeyedOrders) => insert([], keyed)
  }
})

/** Completes the calls of a stored batch, each with the answer of its key, and returns the orders that were stored. */
const complete = (
  batch: ReadonlyArray<Insert>,
  answers: ReadonlyArray<StoredAnswer | null>
): ReadonlyArray<NewOrder> => {
  let index = 0
  return batch.flatMap(({ keyed, orders, stored }) => {
    const answer = keyed === null ? null : (answers[index++] ?? null)
    Deferred.doneUnsafe(stored, Effect.succeed(answer))
    return keyed !== null && hasTakenKey(keyed, answer) ? keyed.orders : orders
  })
}
