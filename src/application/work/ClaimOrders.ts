import { Duration, Effect, Queue, Random } from "effect"
import { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import type { ProcessingOrder } from "../../domain/Order.ts"
import type { Slots } from "../../concurrency/Slots.ts"
import { noteStarted } from "../OrderMetrics.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import { WorkStore } from "../ports/WorkStore.ts"
import { rescueOrders } from "./ExpireLeases.ts"
import { pauseBeforeRetry } from "../../concurrency/Backoff.ts"
import { claimTimeout, WorkerSettings } from "./WorkerSettings.ts"

/** The most orders started by one statement. */
const maxClaim = 256

/**
 * The claiming loop of a worker. It waits for free hands, starts as many of the best due orders as there are
 * hands, and hands them over. When it finds fewer it sleeps until something is announced or rescheduled by
 * this worker itself, the next order is due, the next lease ends or the poll interval is over, whatever is first. It never ends.
 */
export const claimOrders = Effect.fnUntraced(function* (
  slots: Slots,
  rescheduled: Queue.Dequeue<void>,
  handOver: (orders: ReadonlyArray<ProcessingOrder>) => void,
  releaseLeftOver: Effect.Effect<void, OrdersUnavailable>
) {
  const store = yield* WorkStore
  const wakeUp = yield* WakeUp
  const settings = yield* WorkerSettings

  // At least a millisecond, so that a time that is all but there is not waited for in a busy loop.
  const wait = (until: Duration.Duration | null) =>
    Effect.flatMap(Random.nextBetween(0.8, 1), (jitter) => {
      const poll = Duration.times(settings.pollInterval, jitter)
      const millis = Duration.toMillis(until === null ? poll : Duration.min(poll, until))
      return Effect.timeoutOption(
        Effect.raceFirst(wakeUp.awaitAnnouncement, Queue.take(rescheduled)),
        Math.max(1, Math.ceil(millis))
      )
    })

  const claim = (max: number) =>
    store.claim({ worker: settings.name, lease: settings.lease, max }).pipe(
      Effect.timeoutOrElse({
        duration: claimTimeout(settings),
        orElse: () => Effect.fail(new OrdersUnavailable({ message: "a claim took too long" }))
      })
    )

  const look = Effect.fnUntraced(function* (free: number) {
    // Uninterruptible: what was claimed must reach a hand, or be released, even if the worker stops meanwhile.
    const { nextDueIn, nextLeaseEndIn, orders } = yield* Effect.uninterruptible(
      claim(free).pipe(
        Effect.onError(() => Effect.sync(() => slots.release(free))),
        Effect.map((claimed) => {
          slots.release(free - claimed.orders.length)
          handOver(claimed.orders)
          return claimed
        })
      )
    )
    yield* noteStarted(orders)
    if (nextLeaseEndIn !== null && Duration.toMillis(nextLeaseEndIn) <= 0) return yield* rescueOrders
    if (orders.length < free) {
      const next = [nextDueIn, nextLeaseEndIn].filter((wait) => wait !== null)
      yield* wait(next.length === 0 ? null : next.reduce((a, b) => Duration.min(a, b)))
    }
  })

  // A claim may have been carried out although no answer came. Between two claims it is plain which orders are in
  // nobody's hands, so there is no other claim before these are released: after an outage they are tried again at once
  // instead of when the heartbeat finds them.
  let inDoubt = false
  const releaseDoubtful = Effect.suspend(() =>
    inDoubt
      ? releaseLeftOver.pipe(
          Effect.timeoutOrElse({
            duration: claimTimeout(settings),
            orElse: () => Effect.fail(new OrdersUnavailable({ message: "a release took too long" }))
          }),
          // A release that is refused must not keep the worker from claiming; its lease will run out.
          Effect.catchDefect((defect) => Effect.logError("The worker could not release orders", defect)),
          Effect.andThen(Effect.sync(() => void (inDoubt = false)))
        )
      : Effect.void
  )
  const afterTrouble = Effect.suspend(() => {
    inDoubt = true
    return pauseBeforeRetry
  })

  return yield* releaseDoubtful.pipe(
    Effect.andThen(slots.take(maxClaim)),
    Effect.flatMap(look),
    Effect.catchTag("OrdersUnavailable", (error) =>
      Effect.andThen(Effect.logDebug(`The worker could not look for orders: ${error.message}`), afterTrouble)
    ),
    // Nobody would ever hear of a worker that has stopped looking.
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("The worker could not look for orders", defect), afterTrouble)
    ),
    Effect.forever
  )
})
