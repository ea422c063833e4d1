import { Clock, DateTime, Deferred, Duration, Effect, Exit, Metric } from "effect"
import type { NewOrder } from "../../domain/Order.ts"
import { OrdersUnavailable, Overloaded } from "../../domain/OrderErrors.ts"
import { makeRate, secondsToDrain } from "../../concurrency/Rate.ts"
import { makeBatchQueue } from "../../concurrency/BatchQueue.ts"
import { ordersCreated } from "./IntakeMetrics.ts"
import { IntakeStore, type KeyedOrders, type StoredAnswer } from "../ports/IntakeStore.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import { watchBacklog } from "./Backpressure.ts"

/** As many orders are written by one statement, and the rest of the last group: what came together stays together. */
const maxBatch = 256

/** The most orders waiting to be written; beyond it a submitter waits for room, and as many may. */
export const maxWaiting = 4096

/** The longest wait for room; then a submitter is told to come back. Well within the time limit of a request. */
const patience = Duration.seconds(5)

/** What is stored together or not at all: one order, many, or those of a call with a key. */
type Group =
  | { readonly order: NewOrder; readonly orders: null; readonly keyed: null }
  | { readonly order: null; readonly orders: ReadonlyArray<NewOrder>; readonly keyed: null }
  | { readonly order: null; readonly orders: null; readonly keyed: KeyedOrders }

type Waiting = Group & {
  readonly size: number
  readonly stored: Deferred.Deferred<StoredAnswer | null, OrdersUnavailable>
  /** Nobody waits for it any more: its caller was told that it was not stored, or went away. */
  isGivenUp: boolean
}

const stopping = Effect.fail(
  new OrdersUnavailable({ message: "The process is stopping; repeat the call at another one." })
)

/** Tells everybody of a batch who has not heard yet. */
const end = (batch: ReadonlyArray<Waiting>, how: Effect.Effect<never, OrdersUnavailable>): void => {
  for (const { stored } of batch) Deferred.doneUnsafe(stored, how)
}

/** Whether it was this call that took the key. */
export const isTakenBy = (keyed: KeyedOrders, kept: StoredAnswer | null): boolean =>
  kept?.requestId === keyed.requestId

/**
 * Stores new orders, and announces them after their commit. Concurrent calls coalesce: while one commit is in flight the
 * next batch grows by itself, so no timer is needed and a lone order never waits. Each call returns only after its own
 * commit, and fails alone if the store refuses what it brought.
 */
export const storeInBatches = Effect.gen(function* () {
  const intakeStore = yield* IntakeStore
  const queue = yield* WakeUp
  const intake = makeBatchQueue<Waiting>(maxWaiting, patience)
  const rate = makeRate()
  const backlog = yield* watchBacklog

  const announce = (orders: ReadonlyArray<NewOrder>) =>
    Effect.flatMap(Effect.andThen(Metric.update(ordersCreated, orders.length), DateTime.now), (now) => {
      rate.record(orders.length, DateTime.toEpochMillis(now))
      return Effect.andThen(
        queue.announce(
          orders.filter(({ notBefore }) => notBefore === null || DateTime.isLessThanOrEqualTo(notBefore, now))
            .length
        ),
        backlog.noteIntake
      )
    })

  // A row that the store refuses fails the whole statement; written again group by group, it fails its own alone.
  const storeBatch: (batch: ReadonlyArray<Waiting>) => Effect.Effect<void> = Effect.fnUntraced(
    function* (batch) {
      const orders: Array<NewOrder> = []
      const keyed: Array<KeyedOrders> = []
      for (const group of batch) {
        if (group.order !== null) orders.push(group.order)
        else if (group.keyed !== null) keyed.push(group.keyed)
        else orders.push(...group.orders)
      }
      const exit = yield* Effect.exit(intakeStore.submit(orders, keyed))
      // It may be stored, or not; its callers hear that nothing was promised.
      if (Exit.hasInterrupts(exit)) return end(batch, stopping)
      if (Exit.hasDies(exit) && batch.length > 1)
        return yield* Effect.forEach(batch, (group) => storeBatch([group]), { discard: true })
      if (Exit.isFailure(exit)) return end(batch, Exit.failCause(exit.cause))
      let place = 0
      for (const { keyed, stored } of batch) {
        const kept = keyed === null ? null : (exit.value[place++] ?? null)
        if (keyed !== null && isTakenBy(keyed, kept)) orders.push(...keyed.orders)
        Deferred.doneUnsafe(stored, Effect.succeed(kept))
      }
      if (orders.length > 0) yield* announce(orders)
    }
  )

  const storeNext = Effect.flatMap(intake.take(maxBatch), (taken) => {
    const batch = taken.some(({ isGivenUp }) => isGivenUp)
      ? taken.filter(({ isGivenUp }) => !isGivenUp)
      : taken
    if (batch.length === 0) return Effect.void
    return storeBatch(batch).pipe(
      // A defect is a bug of ours. It must not be the end of all submits, nor keep anybody of its batch waiting.
      Effect.catchDefect((defect) => {
        end(batch, Effect.die(defect))
        return Effect.logError("A batch of new orders was not stored, or stored and not announced", defect)
      }),
      Effect.onInterrupt(() => Effect.sync(() => end(batch, stopping)))
    )
  })
  // Closed after the loop has ended: who waits then, or comes then, waits for nobody.
  let isClosed = false
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      end(intake.close(), stopping)
    })
  )
  yield* Effect.forkScoped(Effect.forever(storeNext))

  const tooMany = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.fail(
      new Overloaded({
        message: "More orders come in than can be stored at the moment; nothing of this call was stored.",
        retryAfterSeconds: secondsToDrain(intake.size(), rate.perSecond(now))
      })
    )
  )

  const store = (
    group: Group,
    size: number
  ): Effect.Effect<StoredAnswer | null, OrdersUnavailable | Overloaded> => {
    if (isClosed) return stopping
    const waiting: Waiting = { ...group, size, stored: Deferred.makeUnsafe(), isGivenUp: false }
    const stored = intake.offerUnsafe(waiting)
      ? Deferred.await(waiting.stored)
      : Effect.flatMap(
          intake.offer(waiting),
          (isTaken): Effect.Effect<StoredAnswer | null, OrdersUnavailable | Overloaded> =>
            isTaken ? Deferred.await(waiting.stored) : tooMany
        )
    return Effect.onInterrupt(stored, () =>
      Effect.sync(() => {
        waiting.isGivenUp = true
      })
    )
  }

  return {
    announce,
    overloaded: backlog.overloaded,
    storeOne: (order: NewOrder) => store({ order, orders: null, keyed: null }, 1),
    storeMany: (orders: ReadonlyArray<NewOrder>) =>
      store({ order: null, orders, keyed: null }, orders.length),
    /** Null where another call is about to take the key: ask again. */
    storeOnce: (keyed: KeyedOrders) =>
      store({ order: null, orders: null, keyed }, Math.max(1, keyed.orders.length))
  }
})
