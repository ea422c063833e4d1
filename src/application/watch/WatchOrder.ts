import { type Cause, Context, Effect, Queue, type Scope, Stream } from "effect"
import { type OrderNotFound, type OrdersUnavailable, TooManyWatched } from "../../domain/OrderErrors.ts"
import type { OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { isFinal } from "../../domain/OrderStatus.ts"
import { OrderReads } from "../ports/OrderReads.ts"
import { makeEventReader, maxQueuedEvents, type Subscription } from "./EventReader.ts"

/**
 * The maximum number of open event streams in one process; one caller may have half of them. 1000 by default.
 */
export const MaxWatched = Context.Reference<number>("order-platform/application/watch/MaxWatched", {
  defaultValue: () => 1000
})

/** Why a stream cannot be opened. */
type WatchError = OrderNotFound | OrdersUnavailable | TooManyWatched

/** Opens streams of the events of orders. One shared reader reads for all of them. */
export const makeWatchOrder = Effect.gen(function* () {
  const reads = yield* OrderReads
  const max = yield* MaxWatched
  const reader = yield* makeEventReader

  // So that one caller cannot use up all streams.
  const maxPerCaller = Math.ceil(max / 2)

  const subscribe = Effect.fnUntraced(function* (id: OrderId, after: number, caller: string | undefined) {
    if (reader.count() >= max) return yield* new TooManyWatched({ max })
    if (caller !== undefined && reader.count(caller) >= maxPerCaller) {
      const message =
        "You have the maximum number of event streams that one caller may have open. Close one first."
      return yield* new TooManyWatched({ max: maxPerCaller, message })
    }
    const subscription: Subscription = {
      id,
      caller,
      events: yield* Queue.bounded<OrderEvent, Cause.Done>(maxQueuedEvents),
      isActive: false,
      after,
      known: 1,
      isFinal: false,
      hasMore: false
    }
    reader.add(subscription)
    return subscription
  })

  const unsubscribe = (subscription: Subscription) =>
    Effect.suspend(() => {
      reader.remove(subscription)
      return Queue.shutdown(subscription.events)
    })

  return Effect.fn("WatchOrder")(function* (
    id: OrderId,
    { after = 0, caller }: { readonly after?: number; readonly caller?: string } = {}
  ): Effect.fn.Return<Stream.Stream<OrderEvent>, WatchError, Scope.Scope> {
    const subscription = yield* Effect.acquireRelease(subscribe(id, after, caller), unsubscribe)
    const order = yield* reads.find(id)
    if (order.version <= after && isFinal(order.status)) return Stream.empty
    subscription.known = Math.max(1, Math.min(after, order.version))
    subscription.isActive = true
    yield* reader.wake
    const readMore = Effect.suspend(() => (subscription.hasMore ? reader.wake : Effect.void))
    return Stream.fromPull(Effect.succeed(Effect.tap(Queue.takeAll(subscription.events), () => readMore)))
  })
})
