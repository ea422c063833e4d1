import { Context, Duration, Effect, Fiber, Layer, Metric, Option, Queue } from "effect"
import type { OrderTypes } from "../../domain/OrderTypes.ts"
import type { ProcessorsOf } from "../ports/OrderProcessor.ts"
import type { WakeUp } from "../ports/WakeUp.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { announceFreed, announceRest, receiveAnnouncements } from "./AnnounceRoom.ts"
import { cancelAttempts } from "./CancelAttempts.ts"
import { claimOrders } from "./ClaimOrders.ts"
import { releaseUnknownOrders } from "./ReleaseOrders.ts"
import { renewLeases } from "./RenewLeases.ts"
import { makeStartAttempts } from "./RunAttempt.ts"
import { settleAttempts } from "./SettleAttempts.ts"
import { interruptAttempt, makeWorkerState, type WorkerState } from "./WorkerState.ts"
import { capacity } from "./WorkMetrics.ts"

/** How long a stopping worker may take, after its drain timeout, to store the remaining outcomes. */
const lastSettle = Duration.seconds(2)

/**
 * Processes due orders of its types while its layer is open, with a claim loop, a fiber for each attempt, a settle
 * loop, a heartbeat, and fibers that check for cancels, receive announcements and send announcements. When the layer
 * closes, the worker stops claiming, lets running attempts complete until the drain timeout, interrupts the others and
 * releases their orders (which does not count as a failed attempt), stores all outcomes, and leaves the registry of
 * workers.
 */
export class OrderWorker extends Context.Service<
  OrderWorker,
  {
    /** The name from `WorkerSettings`. The ids under which the worker holds orders begin with it. */
    readonly name: string
    /** The number of orders that are started and not settled. */
    readonly inFlight: Effect.Effect<number>
    /** The maximum number of concurrent attempts. */
    readonly capacity: number
  }
>()("order-platform/application/work/OrderWorker") {
  /** A worker for these types. It needs a processor for each of them. */
  static readonly layer = <T>(
    types: OrderTypes<T>
  ): Layer.Layer<OrderWorker, never, ProcessorsOf<T> | WorkStore | WakeUp> =>
    Layer.effect(OrderWorker, startWorker(types))
}

const startWorker = Effect.fnUntraced(function* <T>(types: OrderTypes<T>) {
  const state = yield* makeWorkerState(types)
  const { attempts, settings } = state
  const startAttempts = yield* makeStartAttempts(types, state)
  yield* Metric.update(capacity, settings.concurrency)

  const settling = yield* Effect.forkScoped(settleAttempts(state))
  const heartbeat = yield* Effect.forkScoped(renewLeases(state))
  yield* Effect.forkScoped(cancelAttempts(state))
  yield* Effect.forkScoped(receiveAnnouncements(state))
  yield* Effect.forkScoped(announceFreed(state))
  let claiming: Fiber.Fiber<never> | null = null
  // Added before the first claim, so that orders are released even if the process stops during its start.
  yield* Effect.addFinalizer(() => drain(state, { claiming, heartbeat, settling }))
  // Detached, because the scope would wait for a running claim before it runs the finalizer, in which the drain timeout
  // begins.
  yield* Effect.forkDetach(claimOrders(state, startAttempts)).pipe(
    Effect.tap((fiber) =>
      Effect.sync(() => {
        claiming = fiber
      })
    ),
    Effect.uninterruptible
  )

  return OrderWorker.of({
    name: settings.name,
    inFlight: Effect.sync(attempts.count),
    capacity: settings.concurrency
  })
})

interface Fibers {
  readonly claiming: Fiber.Fiber<never> | null
  readonly heartbeat: Fiber.Fiber<never>
  readonly settling: Fiber.Fiber<void>
}

const drain = Effect.fnUntraced(function* (state: WorkerState, { claiming, heartbeat, settling }: Fibers) {
  const { attempts, settings, slots } = state
  state.isDraining = true
  state.reportNow.send()
  // Waits for a running claim. This time is part of the drain timeout.
  const [waited] = yield* Effect.timed(claiming === null ? Effect.void : Fiber.interrupt(claiming))
  const left = Duration.max(Duration.zero, Duration.subtract(settings.drainTimeout, waited))
  const inTime = yield* Effect.timeoutOption(slots.allFree, left)
  if (Option.isNone(inTime)) for (const attempt of attempts.all()) interruptAttempt(attempt, "worker stopped")
  // A time limit of its own (`lastSettle`), so that a process that was frozen until after the drain timeout
  // still releases its orders.
  yield* slots.allFree.pipe(
    Effect.andThen(Queue.end(state.finished)),
    Effect.andThen(Fiber.await(settling)),
    Effect.andThen(announceRest(state)),
    // A further heartbeat would register the worker again.
    Effect.andThen(Fiber.interrupt(heartbeat)),
    Effect.andThen(Effect.eventually(leave(state))),
    Effect.timeoutOrElse({ duration: lastSettle, orElse: () => reportUnfinishedDrain(state) })
  )
})

/** Releases the orders that are left, and removes the worker from the registry. */
const leave = (state: WorkerState) =>
  Effect.andThen(
    releaseUnknownOrders(state),
    Effect.flatMap(WorkStore, (store) => store.deregister(state.id))
  )

const reportUnfinishedDrain = ({ attempts }: WorkerState) =>
  Effect.suspend(() =>
    attempts.count() > 0
      ? Effect.logWarning(
          "The worker stopped before all outcomes were stored; the leases of their orders will expire."
        )
      : Effect.logDebug("The worker could not check whether it holds orders without an attempt.")
  )
