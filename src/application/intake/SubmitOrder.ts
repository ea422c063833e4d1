import { Clock, Context, Effect, Layer } from "effect"
import type { NewOrder } from "../../domain/Order.ts"
import { IdempotencyMismatch, OrdersUnavailable, type Overloaded } from "../../domain/OrderErrors.ts"
import { isSameRequest, type Replayable } from "./Idempotency.ts"
import { timed } from "../../concurrency/Measure.ts"
import { createSeconds } from "./IntakeMetrics.ts"
import { IntakeStore, type KeyedOrders, type StoredAnswer } from "../ports/IntakeStore.ts"
import { isTakenBy, storeInBatches } from "./InsertBatcher.ts"

/** How long a submitter waits for another call with its key that has not ended, in milliseconds. */
const longestElsewhere = 10_000

const elsewhere = new OrdersUnavailable({
  message: "Another call with the same idempotency key is still in progress; repeat this one later."
})

/**
 * Stores new orders and announces them. Each submit returns only after its own commit, which it shares with others that
 * came meanwhile. Inside the caller's own transaction it writes there, and announces after that commit.
 */
export class SubmitOrder extends Context.Service<
  SubmitOrder,
  {
    readonly submit: (order: NewOrder) => Effect.Effect<void, OrdersUnavailable | Overloaded>
    /** Stores many orders together, or none of them. */
    readonly submitMany: (
      orders: ReadonlyArray<NewOrder>
    ) => Effect.Effect<void, OrdersUnavailable | Overloaded>
    /** Stores orders once for their key: whoever repeats the request gets the answer that was kept. */
    readonly submitOnce: (
      keyed: KeyedOrders
    ) => Effect.Effect<Replayable<string>, OrdersUnavailable | Overloaded | IdempotencyMismatch>
  }
>()("order-platform/application/SubmitOrder") {
  static readonly layer = Layer.effect(
    SubmitOrder,
    Effect.gen(function* () {
      const store = yield* IntakeStore
      const { announce, overloaded, storeMany, storeOnce, storeOne } = yield* storeInBatches

      const inTheirs = Effect.fnUntraced(function* (orders: ReadonlyArray<NewOrder>) {
        yield* store.submit(orders)
        yield* store.afterCommit(announce(orders))
      })

      // No span of its own: where nothing exports, it would cost more than the rest of a submit.
      const submit = (order: NewOrder) =>
        timed(createSeconds)(
          Effect.flatMap(
            store.inTransaction,
            (inTransaction): Effect.Effect<void, OrdersUnavailable | Overloaded> => {
              const refusal = overloaded()
              if (refusal !== null) return Effect.fail(refusal)
              return inTransaction ? inTheirs([order]) : Effect.asVoid(storeOne(order))
            }
          )
        )

      const submitMany = Effect.fnUntraced(function* (orders: ReadonlyArray<NewOrder>) {
        const refusal = overloaded()
        if (refusal !== null) return yield* refusal
        if (orders.length === 0) return
        if (yield* store.inTransaction) return yield* inTheirs(orders)
        yield* storeMany(orders)
      }, timed(createSeconds))

      const onceInTheirs = Effect.fnUntraced(function* (keyed: KeyedOrders) {
        const [kept = null] = yield* store.submit([], [keyed])
        if (isTakenBy(keyed, kept) && keyed.orders.length > 0)
          yield* store.afterCommit(announce(keyed.orders))
        return kept
      })

      const answerOf = (keyed: KeyedOrders, kept: StoredAnswer) =>
        isSameRequest(kept.fingerprint, keyed.fingerprint)
          ? Effect.succeed({ answer: kept.answer, replayed: !isTakenBy(keyed, kept) })
          : Effect.fail(new IdempotencyMismatch())

      // Whoever waits for another call with its key, in a transaction or in another process, asks again now and then in
      // the batches of everybody: it holds no connection meanwhile, and nobody else waits with it.
      const submitOnce = Effect.fnUntraced(function* (keyed: KeyedOrders) {
        const refusal = overloaded()
        if (refusal !== null) {
          // Whoever repeats what was stored before brings nothing new: it gets its answer.
          const kept = yield* store.findAnswer(keyed)
          return kept === null ? yield* refusal : yield* answerOf(keyed, kept)
        }
        const inTransaction = yield* store.inTransaction
        const start = yield* Clock.currentTimeMillis
        for (let pause = 5; ; pause = Math.min(200, pause * 2)) {
          const kept = yield* inTransaction ? onceInTheirs(keyed) : storeOnce(keyed)
          if (kept !== null) return yield* answerOf(keyed, kept)
          if ((yield* Clock.currentTimeMillis) - start > longestElsewhere) return yield* elsewhere
          yield* Effect.sleep(pause)
        }
      }, timed(createSeconds))

      return SubmitOrder.of({ submit, submitMany, submitOnce })
    })
  )
}
