import { Context, DateTime, Deferred, Effect, Exit, Layer, Metric, Queue } from "effect"
import type { NewOrder } from "../domain/Order.ts"
import type { OrdersUnavailable } from "../domain/OrderErrors.ts"
import { createSeconds, ordersCreated, timed } from "./OrderMetrics.ts"
import { OrderQueue } from "./ports/OrderQueue.ts"
import { OrderRepository } from "./ports/OrderRepository.ts"

/** The most orders written by one statement. */
const maxBatch = 256

/** The most orders waiting to be written; beyond it a submitter waits for a place. */
const maxWaiting = 4096

interface Waiting {
  readonly order: NewOrder
  readonly stored: Deferred.Deferred<void, OrdersUnavailable>
}

/**
 * Stores new orders and announces them. Concurrent submits coalesce: while one commit is in flight the next
 * batch grows by itself, so no timer is needed and a lone order never waits. Each submit returns only after
 * its own commit. Inside the caller's own transaction it writes there, and announces after that commit.
 */
export class SubmitOrder extends Context.Service<
  SubmitOrder,
  { readonly submit: (order: NewOrder) => Effect.Effect<void, OrdersUnavailable> }
>()("order-platform/application/SubmitOrder") {
  static readonly layer = Layer.effect(
    SubmitOrder,
    Effect.gen(function* () {
      const repository = yield* OrderRepository
      const queue = yield* OrderQueue
      const intake = yield* Queue.bounded<Waiting>(maxWaiting)

      const announce = (orders: ReadonlyArray<NewOrder>) =>
        Effect.flatMap(Effect.andThen(Metric.update(ordersCreated, orders.length), DateTime.now), (now) =>
          queue.announce(
            orders
              .filter(({ notBefore }) => notBefore === null || DateTime.isLessThanOrEqualTo(notBefore, now))
              .map(({ id }) => ({ event: "OrderCreated", orderId: id }))
          )
        )

      const storeOne = ({ order, stored }: Waiting) =>
        repository.submit([order]).pipe(
          Effect.onExit((exit) => Deferred.done(stored, exit)),
          Effect.andThen(announce([order])),
          Effect.exit
        )

      // A row that the store refuses fails the whole statement; written again one by one, it fails alone.
      const storeBatch = Effect.fnUntraced(function* (batch: ReadonlyArray<Waiting>) {
        const orders = batch.map(({ order }) => order)
        const exit = yield* Effect.exit(repository.submit(orders))
        if (Exit.hasDies(exit) && batch.length > 1)
          return yield* Effect.forEach(batch, storeOne, { discard: true })
        for (const { stored } of batch) yield* Deferred.done(stored, exit)
        if (Exit.isSuccess(exit)) yield* announce(orders)
      })

      // The yield lets everyone who came in the same moment join the batch: half the statements, and no timer.
      yield* Queue.peek(intake).pipe(
        Effect.andThen(Effect.yieldNow),
        Effect.andThen(Queue.takeBetween(intake, 1, maxBatch)),
        Effect.flatMap(storeBatch),
        Effect.forever,
        Effect.forkScoped
      )

      // No span of its own: where nothing exports, it would cost more than the rest of a submit.
      const submit = Effect.fnUntraced(function* (order: NewOrder) {
        if (yield* repository.inTransaction) {
          yield* repository.submit([order])
          return yield* repository.afterCommit(announce([order]))
        }
        const stored = yield* Deferred.make<void, OrdersUnavailable>()
        yield* Queue.offer(intake, { order, stored })
        yield* Deferred.await(stored)
      }, timed(createSeconds))

      return SubmitOrder.of({ submit })
    })
  )
}
