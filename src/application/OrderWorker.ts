import {
  type Cause,
  Context,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Metric,
  Option,
  Queue,
  Semaphore
} from "effect"
import type { Outcome, ProcessingOrder } from "../domain/Order.ts"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import { claimOrders } from "./ClaimOrders.ts"
import * as Metrics from "./OrderMetrics.ts"
import { drop, type InHand, type OrdersInHand } from "./OrdersInHand.ts"
import type { OrderProcessor } from "./ports/OrderProcessor.ts"
import type { OrderQueue } from "./ports/OrderQueue.ts"
import { OrderRepository } from "./ports/OrderRepository.ts"
import { processOrder } from "./ProcessOrder.ts"
import { releaseLeftOver, renewLeases } from "./RenewLeases.ts"
import { type Finished, reportSettled, settleAttempts } from "./SettleAttempts.ts"
import { settleWithWrites } from "./SettleWithWrites.ts"
import { makeTimeLimit } from "./TimeLimit.ts"
import { WorkerSettings } from "./WorkerSettings.ts"

// Longer than 150 lines because the fibers of a worker and the order in which they stop are read together.

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
    /** How many attempts it can run at the same time. */
    readonly capacity: number
  }
>()("order-platform/application/OrderWorker") {
  static readonly layer = <P>(
    payload: OrderPayload<P>
  ): Layer.Layer<OrderWorker, never, OrderProcessor<P> | OrderRepository | OrderQueue> =>
    Layer.effect(
      OrderWorker,
      Effect.gen(function* () {
        const settings = yield* WorkerSettings
        const timeLimit = yield* makeTimeLimit(settings.attemptTimeout)
        const process = processOrder(payload, settings.attemptTimeout, timeLimit)
        const commitWrites = settleWithWrites(
          yield* Semaphore.make(settings.writeConcurrency),
          settings.attemptTimeout
        )
        const inHand: OrdersInHand = new Map()
        const hands = yield* Queue.bounded<void>(settings.concurrency)
        const ready = yield* Queue.bounded<InHand>(settings.concurrency)
        const rescheduled = yield* Queue.sliding<void>(1)
        const finished = yield* Queue.bounded<Finished, Cause.Done>(maxFinished)
        yield* Queue.offerAll(hands, Array.from<void>({ length: settings.concurrency }))
        yield* Metric.update(Metrics.capacity, settings.concurrency)
        let draining = false
        let claiming: Fiber.Fiber<never> | null = null

        const handOver = (orders: ReadonlyArray<ProcessingOrder>) =>
          Effect.suspend(() => {
            const attempts = orders.map((order): InHand => ({ order, fiber: null, finished: false }))
            for (const attempt of attempts) inHand.set(attempt.order.id, attempt)
            return Effect.andThen(
              Metric.update(Metrics.inFlight, inHand.size),
              Queue.offerAll(ready, attempts)
            )
          })

        const finish = (attempt: InHand, outcome: Outcome) =>
          Effect.suspend(() => {
            attempt.finished = true
            return Queue.offer(finished, { attempt, outcome })
          })

        const release = (attempt: InHand) =>
          finish(attempt, { event: "released", detail: `worker ${settings.name} was stopped` })

        const attempt = Effect.fnUntraced(function* (attempt: InHand) {
          const { outcome, writes } = yield* Metrics.timed(Metrics.processingSeconds)(process(attempt.order))
          if (writes === null) return outcome
          // From now on its order may leave our leases at any moment because it is settled, and not because it is lost.
          attempt.finished = true
          const written = yield* commitWrites(attempt.order, writes)
          if (typeof written !== "string") return written
          drop(inHand, attempt)
          yield* Metric.update(Metrics.inFlight, inHand.size)
          return yield* reportSettled([{ order: attempt.order, outcome, result: written }])
        })

        // An attempt ends by itself, with an outcome unless its writes carried it along, or is interrupted: by the drain
        // deadline, and then released, or because its lease is lost, and then it is none of our business any more.
        const hand = Queue.take(ready).pipe(
          Effect.flatMap((taken) =>
            Effect.gen(function* () {
              // At once: an attempt that has nothing to wait for has ended before anybody waits for it.
              const fiber = yield* Effect.forkChild(attempt(taken), { startImmediately: true })
              taken.fiber = fiber
              const exit = yield* Fiber.await(fiber)
              if (Exit.isSuccess(exit) && exit.value !== undefined) yield* finish(taken, exit.value)
              else if (Exit.isFailure(exit) && draining) yield* release(taken)
              else {
                // A defect here is a bug of ours; nobody else would ever hear of it. The heartbeat releases the order.
                if (Exit.hasDies(exit)) yield* Effect.logError(`Order ${taken.order.id} was dropped`, exit)
                drop(inHand, taken)
                yield* Metric.update(Metrics.inFlight, inHand.size)
              }
              yield* Queue.offer(hands, undefined)
            })
          ),
          Effect.forever
        )

        const settling = yield* Effect.forkScoped(settleAttempts(finished, inHand, rescheduled))
        yield* Effect.forkScoped(renewLeases(inHand))
        for (let n = 0; n < settings.concurrency; n++) yield* Effect.forkScoped(hand)
        const repository = yield* OrderRepository
        const releaseAll = Effect.provideService(releaseLeftOver(inHand), OrderRepository, repository)
        const interruptAttempts = Effect.suspend(() =>
          Fiber.interruptAll(
            Array.from(inHand.values()).flatMap(({ fiber }) => (fiber === null ? [] : [fiber]))
          )
        )
        const drain = Effect.gen(function* () {
          draining = true
          // A claim that is under way is waited for, out of the time that attempts have.
          const [waited] = yield* Effect.timed(claiming === null ? Effect.void : Fiber.interrupt(claiming))
          const left = Duration.max(Duration.zero, Duration.subtract(settings.drainTimeout, waited))
          for (const attempt of yield* Queue.clear(ready)) {
            yield* release(attempt)
            yield* Queue.offer(hands, undefined)
          }
          const allHandsFree = Queue.takeN(hands, settings.concurrency)
          const inTime = yield* Effect.timeoutOption(allHandsFree, left)
          const finishAll = Option.isSome(inTime)
            ? Effect.void
            : Effect.andThen(interruptAttempts, allHandsFree)
          // A limit of its own, so that a process that was frozen until after the drain deadline still releases.
          yield* finishAll.pipe(
            Effect.andThen(Queue.end(finished)),
            Effect.andThen(Fiber.await(settling)),
            Effect.andThen(Effect.eventually(releaseLeftOver(inHand))),
            Effect.timeoutOrElse({
              duration: lastSettle,
              orElse: () =>
                Effect.logWarning("The worker stopped with unwritten results; their leases will run out.")
            })
          )
        })
        // Before the first claim, so that a process that is stopped while it starts leaves nothing behind either.
        yield* Effect.addFinalizer(() => drain)
        // Detached, for the scope would wait for the end of a claim before it begins to drain, and so to count the time.
        yield* Effect.forkDetach(claimOrders(hands, rescheduled, handOver, releaseAll)).pipe(
          Effect.tap((fiber) => Effect.sync(() => (claiming = fiber))),
          Effect.uninterruptible
        )

        return OrderWorker.of({
          name: settings.name,
          inHand: Effect.sync(() => inHand.size),
          capacity: settings.concurrency
        })
      })
    )
}
