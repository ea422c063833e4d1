import { type Cause, Effect, Queue } from "effect"
import { pauseAfterError } from "../../concurrency/PauseAfterError.ts"
import type { OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { isFinal } from "../../domain/OrderStatus.ts"
import { OrderReads } from "../ports/OrderReads.ts"

/**
 * The maximum number of events queued for one subscription. No more events are read for the subscription
 * until it has taken all of them.
 */
export const maxQueuedEvents = 100

/** The maximum number of events read by one statement, for all subscriptions together. */
const maxRead = 2000

/** Milliseconds between two reads: doubled from the shortest to the longest while there are no new events. */
const shortestInterval = 100
const longestInterval = 500

/** Every 20th read also reads the last known event of each order again: if that event is gone, the order was deleted. */
const readsPerExistenceCheck = 20

/** A pause before each read, in milliseconds, so that subscriptions opened at the same time share one read. */
const gatherPause = 20

/** One open stream of the events of an order. */
export interface Subscription {
  readonly id: OrderId
  readonly caller: string | undefined
  /** Events that were read and not taken yet; ended after the last event. */
  readonly events: Queue.Queue<OrderEvent, Cause.Done>
  /** Whether events are read for this subscription: the order exists, and the stream has not ended. */
  isActive: boolean
  /**
   * The version of the last event that was queued; before the first event, the version that the client gave.
   */
  after: number
  /**
   * A version whose event certainly exists, for the existence check. `after` is not enough: it comes from the client
   * and may be beyond the order's version.
   */
  known: number
  /** Whether the last event that was queued left the order in a final state. */
  isFinal: boolean
  /** Whether the store may hold events that the last read did not return. */
  hasMore: boolean
}

const end = (subscription: Subscription) => {
  subscription.isActive = false
  Queue.endUnsafe(subscription.events)
}

/** Queues the events that are new to the subscription. `isComplete`: the read was not cut off at `maxRead`. */
const deliver = (subscription: Subscription, found: ReadonlyArray<OrderEvent>, isComplete: boolean) => {
  const events = found.filter(({ version }) => version > subscription.after)
  const last = events.at(-1)
  if (last !== undefined) {
    subscription.after = last.version
    subscription.known = last.version
    subscription.isFinal = isFinal(last.to)
    Queue.offerAllUnsafe(subscription.events, events)
  }
  subscription.hasMore = !isComplete || found.length === maxQueuedEvents
  if (!subscription.hasMore && subscription.isFinal) end(subscription)
}

/** Reads once for all subscriptions whose queue is empty; returns the number of events read. */
const makeRead = (reads: OrderReads["Service"], subscriptions: ReadonlySet<Subscription>) => {
  let count = 0
  return Effect.gen(function* () {
    const waiting = Array.from(subscriptions).filter(
      ({ events, isActive }) => isActive && Queue.sizeUnsafe(events) === 0
    )
    if (waiting.length === 0) return 0
    // Subscriptions at the same version of the same order share one entry of `positions`.
    const groups = Array.from(Map.groupBy(waiting, ({ after, id }) => `${id} ${after}`).values())
    const checksExistence = ++count % readsPerExistenceCheck === 0
    const positions = groups.flatMap(([first]) =>
      first === undefined ? [] : { id: first.id, after: checksExistence ? first.known - 1 : first.after }
    )
    const found = yield* reads.eventsAfter(positions, { maxEach: maxQueuedEvents, maxAll: maxRead })
    const total = found.reduce((sum, events) => sum + events.length, 0)
    for (const [index, group] of groups.entries()) {
      const events = found[index] ?? []
      for (const subscription of group) {
        // The existence check found no event, so the order was deleted with its history.
        if (checksExistence && events.length === 0 && total < maxRead) end(subscription)
        else deliver(subscription, events, total < maxRead)
      }
    }
    return total
  })
}

/**
 * Reads the events of all subscriptions from the store, so that transitions made by any process are seen. One
 * statement reads for all subscriptions whose queue is empty. Without subscriptions nothing is read. No event
 * is skipped, because each read starts at the last queued version or earlier. No event is repeated, because
 * `deliver` drops events up to the last queued version.
 */
export const makeEventReader = Effect.gen(function* () {
  const subscriptions = new Set<Subscription>()
  const read = makeRead(yield* OrderReads, subscriptions)
  const wake = yield* Queue.sliding<void>(1)

  let interval = shortestInterval
  const readNext = Effect.gen(function* () {
    if (subscriptions.size === 0) yield* Queue.take(wake)
    const total = yield* read
    interval = total > 0 ? shortestInterval : Math.min(longestInterval, interval * 2)
    if (total < maxRead) yield* Effect.timeoutOption(Queue.take(wake), interval)
    yield* Effect.sleep(gatherPause)
  }).pipe(
    Effect.catchTag("OrdersUnavailable", () => pauseAfterError),
    // A defect must not end the streams.
    Effect.catchDefect((defect) =>
      Effect.andThen(
        Effect.logError("Could not read the events of watched orders", defect),
        Effect.sleep("5 seconds")
      )
    )
  )
  yield* Effect.forkScoped(Effect.forever(readNext))

  return {
    add: (subscription: Subscription) => void subscriptions.add(subscription),
    remove: (subscription: Subscription) => void subscriptions.delete(subscription),
    /** The number of subscriptions, of all callers or of one caller. */
    count: (caller?: string) =>
      caller === undefined
        ? subscriptions.size
        : Array.from(subscriptions).filter((each) => each.caller === caller).length,
    /** Ends the current pause, so that the next read starts. */
    wake: Queue.offer(wake, undefined)
  }
})
