import { type Cause, Context, Duration, Effect, Fiber, Layer, Metric, Option, Queue } from "effect"
import type { OrderPayload } from "../../domain/OrderPayload.ts"
import { claimOrders } from "./ClaimOrders.ts"
import { makeSlots } from "../../concurrency/Slots.ts"
import * as Metrics from "../OrderMetrics.ts"
import { interrupt, makeOrdersInHand } from "./RunningAttempts.ts"
import type { OrderProcessor } from "../ports/OrderProcessor.ts"
import type { WakeUp } from "../ports/WakeUp.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { releaseLeftOver, renewLeases } from "./RenewLeases.ts"
import { runAttempts } from "./RunAttempt.ts"
import { type Finished, settleAttempts } from "./SettleAttempts.ts"
import { WorkerSettings } from "./WorkerSettings.ts"

/** Finished attempts that may wait for their settle; beyond it a hand waits, and so takes no new order. */
const maxFinished = 1024

/** How long a stopping worker may take, after its drain deadline, to write what is left. */
const lastSettle = Duration.seconds(2)

/**
 * Processes due orders for as long as its layer lives. One fiber claims, each order in hand has one of its own, one
 * settles, one renews the leases. When the layer closes it stops claiming, lets running attempts finish until the drain
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
  ): Layer.Layer<OrderWorker, never, OrderProcessor<P> | WorkStore | WakeUp> =>
    Layer.effect(
      OrderWorker,
      Effect.gen(function* () {
        const settings = yield* WorkerSettings
        const inHand = makeOrdersInHand()
        const slots = makeSlots(settings.concurrency)
        const rescheduled = yield* Queue.sliding<void>(1)
        const finished = yield* Queue.bounded<Finished, Cause.Done>(maxFinished)
        const attempts = yield* runAttempts(payload, inHand, slots, finished)
        yield* Metric.update(Metrics.capacity, settings.concurrency)
        let claiming: Fiber.Fiber<never> | null = null

        const settling = yield* Effect.forkScoped(settleAttempts(finished, inHand, rescheduled))
        yield* Effect.forkScoped(renewLeases(inHand))
        const store = yield* WorkStore
        const releaseAll = Effect.provideService(releaseLeftOver(inHand), WorkStore, store)
        const interruptAttempts = Effect.sync(() => {
          for (const attempt of inHand.all()) interrupt(attempt, "stopped")
        })
        const drain = Effect.gen(function* () {
          // A claim that is under way is waited for, out of the time that attempts have.
          const [waited] = yield* Effect.timed(claiming === null ? Effect.void : Fiber.interrupt(claiming))
          const left = Duration.max(Duration.zero, Duration.subtract(settings.drainTimeout, waited))
          const inTime = yield* Effect.timeoutOption(slots.allFree, left)
          const finishAll = Option.isSome(inTime)
            ? Effect.void
            : Effect.andThen(interruptAttempts, slots.allFree)
          // A limit of its own, so that a process that was frozen until after the drain deadline still releases.
          yield* finishAll.pipe(
            Effect.andThen(Queue.end(finished)),
            Effect.andThen(Fiber.await(settling)),
            Effect.andThen(Effect.eventually(releaseLeftOver(inHand))),
            Effect.timeoutOrElse({
              duration: lastSettle,
              orElse: () =>
                Effect.suspend(() =>
                  inHand.size() > 0
                    ? Effect.logWarning(
                        "The worker stopped with unwritten results; their leases will run out."
                      )
                    : Effect.logDebug("The worker could not ask whether it holds orders without knowing.")
                )
            })
          )
        })
        // Before the first claim, so that a process that is stopped while it starts leaves nothing behind either.
        yield* Effect.addFinalizer(() => drain)
        // Detached, for the scope would wait for the end of a claim before it begins to drain, and so to count the time.
        yield* Effect.forkDetach(claimOrders(slots, rescheduled, attempts.start, releaseAll)).pipe(
          Effect.tap((fiber) => Effect.sync(() => (claiming = fiber))),
          Effect.uninterruptible
        )

        return OrderWorker.of({
          name: settings.name,
          inHand: Effect.sync(inHand.size),
          capacity: settings.concurrency
        })
      })
    )
}
