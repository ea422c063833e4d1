import { type Cause, Context, Duration, Effect, Exit, Fiber, Layer, Queue } from "effect"
import type { Outcome, ProcessingOrder } from "../domain/Order.ts"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import { claimOrders } from "./ClaimOrders.ts"
import { drop, type InHand, type OrdersInHand } from "./OrdersInHand.ts"
import type { OrderProcessor } from "./ports/OrderProcessor.ts"
import type { OrderQueue } from "./ports/OrderQueue.ts"
import type { OrderRepository } from "./ports/OrderRepository.ts"
import { processOrder } from "./ProcessOrder.ts"
import { renewLeases } from "./RenewLeases.ts"
import { type Finished, settleAttempts } from "./SettleAttempts.ts"
import { WorkerSettings } from "./WorkerSettings.ts"

/** Finished attempts that may wait for their settle; beyond it a hand waits, and so takes no new order. */
const maxFinished = 1024

/** How long a stopping worker may take, after its drain deadline, to write what is left. */
const lastSettle = Duration.seconds(2)

/**
 * Processes due orders for as long as its layer lives. One fiber claims, `concurrency` hands process, one settles,
 * one renews the leases. When the layer closes it stops claiming, lets running attempts finish until the drain
 * deadline, releases the rest, which costs them nothing, and writes all of it.
 */
export class OrderWorker extends Context.Service<
  OrderWorker,
  {
    /** The name that its leases are held under. */
    readonly name: string
    /** How many orders it has started and not settled. */
    readonly inHand: Effect.Effect<number>
  }
>()("order-platform/application/OrderWorker") {
  static readonly layer = <P>(
    payload: OrderPayload<P>
  ): Layer.Layer<OrderWorker, never, OrderProcessor<P> | OrderRepository | OrderQueue> =>
    Layer.effect(
      OrderWorker,
      Effect.gen(function* () {
        const settings = yield* WorkerSettings
        const process = processOrder(payload, settings.attemptTimeout)
        const inHand: OrdersInHand = new Map()
        const hands = yield* Queue.bounded<void>(settings.concurrency)
        const ready = yield* Queue.bounded<InHand>(settings.concurrency)
        const finished = yield* Queue.bounded<Finished, Cause.Done>(maxFinished)
        yield* Queue.offerAll(hands, new Array<void>(settings.concurrency).fill(undefined))
        let draining = false

        const handOver = (orders: ReadonlyArray<ProcessingOrder>) =>
          Effect.suspend(() => {
            const attempts = orders.map((order): InHand => ({ order, fiber: null, finished: false }))
            for (const attempt of attempts) inHand.set(attempt.order.id, attempt)
            return Queue.offerAll(ready, attempts)
          })

        const finish = (attempt: InHand, outcome: Outcome) =>
          Effect.suspend(() => {
            attempt.finished = true
            return Queue.offer(finished, { attempt, outcome })
          })

        const release = (attempt: InHand) =>
          finish(attempt, { event: "released", detail: `worker ${settings.name} was stopped` })

        // An attempt ends by itself with an outcome, or is interrupted: by the drain deadline, and then released,
        // or because its lease is lost, and then it is none of our business any more.
        const hand = Queue.take(ready).pipe(
          Effect.flatMap((attempt) =>
            Effect.gen(function* () {
              attempt.fiber = yield* Effect.forkChild(process(attempt.order))
              const exit = yield* Fiber.await(attempt.fiber)
              if (Exit.isSuccess(exit)) yield* finish(attempt, exit.value)
              else if (draining) yield* release(attempt)
              else drop(inHand, attempt)
              yield* Queue.offer(hands, undefined)
            })
          ),
          Effect.forever
        )

        const settling = yield* Effect.forkScoped(settleAttempts(finished, inHand))
        yield* Effect.forkScoped(renewLeases(inHand))
        for (let n = 0; n < settings.concurrency; n++) yield* Effect.forkScoped(hand)
        const claiming = yield* Effect.forkScoped(claimOrders(hands, handOver))

        const interruptAttempts = Effect.suspend(() =>
          Fiber.interruptAll(
            Array.from(inHand.values()).flatMap(({ fiber }) => (fiber === null ? [] : [fiber]))
          )
        )
        const drain = Effect.gen(function* () {
          draining = true
          yield* Fiber.interrupt(claiming)
          for (const attempt of yield* Queue.clear(ready)) {
            yield* release(attempt)
            yield* Queue.offer(hands, undefined)
          }
          const allHandsFree = Queue.takeN(hands, settings.concurrency)
          yield* allHandsFree.pipe(
            Effect.timeoutOrElse({
              duration: settings.drainTimeout,
              orElse: () => Effect.andThen(interruptAttempts, allHandsFree)
            }),
            Effect.andThen(Queue.end(finished)),
            Effect.andThen(Fiber.await(settling)),
            Effect.timeoutOrElse({
              duration: Duration.sum(settings.drainTimeout, lastSettle),
              orElse: () =>
                Effect.logWarning("The worker stopped with unwritten results; their leases will run out.")
            })
          )
        })
        yield* Effect.addFinalizer(() => drain)

        return OrderWorker.of({ name: settings.name, inHand: Effect.sync(() => inHand.size) })
      })
    )
}
