import { type Cause, Effect, Queue } from "effect"
import { pauseBeforeRetry } from "../../concurrency/Backoff.ts"
import type { OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { isFinal } from "../../domain/OrderStatus.ts"
import { OrderReads } from "../ports/OrderReads.ts"

/** The events queued for one subscription; no more are read for it until it has taken them. */
export const maxQueuedEvents = 100

/** The events read by one statement, for all subscriptions together. */
const maxRead = 2000

/** Milliseconds between two reads: doubled from the shortest to the longest while nothing happens. */
const shortestInterval = 100
const longestInterval = 500

/** Every so many reads also check, by the event that each subscription had last, whether its order still exists. */
const readsPerExistenceCheck = 20

/** A pause before each read, in milliseconds, so that subscriptions that open at the same time share it. */
const gathering = 20

/** One open stream of the events of an order. */
export interface Subscription {
  readonly id: OrderId
  readonly caller: string | undefined
  /** Events that were read and not taken yet; ended after the last event. */
  readonly events: Queue.Queue<OrderEvent, Cause.Done>
  /** Whether events are read for it: its order exists, and the stream has not ended. */
  isActive: boolean
  /** The version of the last event in the queue. */
  after: number
  /** A version that the order has reached; below `after` if a client claims a version that is still to come. */
  known: number
  /** Whether the last event in the queue left the order in a final state. */
  isFinal: boolean
  /** Whether there may be more events already. */
  hasMore: boolean
}

const end = (subscription: Subscription) => {
  subscription.isActive = false
  Queue.endUnsafe(subscription.events)
}

/** Queues the events that the subscription has not had. `isComplete`: the read was not cut off at `maxRead`. */
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

/** Reads once for every subscription that has taken all of its events; returns the number of events. */
const makeRead = (reads: OrderReads["Service"], subscriptions: ReadonlySet<Subscription>) => {
  let count = 0
  return Effect.gen(function* () {
    const waiting = Array.from(subscriptions).filter(
      ({ events, isActive }) => isActive && Queue.sizeUnsafe(events) === 0
    )
    if (waiting.length === 0) return 0
    // Many subscriptions may be at the same version of the same order: it is read once.
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
        // The order was deleted with its history: nothing more will happen to it.
        if (checksExistence && events.length === 0 && total < maxRead) end(subscription)
        else deliver(subscription, events, total < maxRead)
      }
    }
    return total
  })
}

/**
 * Reads events for all subscriptions by one statement, from the store, so that it does not matter which process runs an
 * order. It does nothing while there is no subscription. Nothing is read for a subscription that has not taken its last
 * events, and each read begins after the version that it had last, so no event is lost or repeated.
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
    yield* Effect.sleep(gathering)
  }).pipe(
    Effect.catchTag("OrdersUnavailable", () => pauseBeforeRetry),
    // A defect is a bug of ours: it is logged, and must not end the streams.
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("Watched orders could not be read", defect), Effect.sleep("5 seconds"))
    )
  )
  yield* Effect.forkScoped(Effect.forever(readNext))

  return {
    add: (subscription: Subscription) => void subscriptions.add(subscription),
    remove: (subscription: Subscription) => void subscriptions.delete(subscription),
    /** The number of subscriptions, in all or of one caller. */
    count: (caller?: string) =>
      caller === undefined
        ? subscriptions.size
        : Array.from(subscriptions).filter((each) => each.caller === caller).length,
    /** Reads soon. */
    wake: Queue.offer(wake, undefined)
  }
})
