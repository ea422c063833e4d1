import { type Cause, Context, Effect, Queue, type Scope, Stream } from "effect"
import { type OrderNotFound, OrdersUnavailable, TooManyWatched } from "../../domain/OrderErrors.ts"
import type { OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { isFinal } from "../../domain/OrderStatus.ts"
import { OrderReads } from "../ports/OrderReads.ts"
import { pauseBeforeRetry } from "../../concurrency/Backoff.ts"

// Longer than 150 lines because the watcher and those it reads for are understood together.

/** The most orders watched at the same time in one process, half of them by one caller; one more is refused. 1000 by default. */
export const MaxWatched = Context.Reference<number>("order-platform/application/MaxWatched", {
  defaultValue: () => 1000
})

/** The most events that wait for one reader: it is given no more before it has taken them. */
const maxEach = 100
/** The most events read by one statement, for all readers together. */
const maxAll = 2000

/** Milliseconds between two looks: doubled from the shortest to the longest while nothing happens. */
const shortest = 100
const longest = 500
/** Every so many looks it is asked as well whether the orders are still there, by the event that each reader had last. */
const presenceEvery = 20
/** Readers who come at the same time are looked for together. */
const gathering = 20

interface Watch {
  readonly id: OrderId
  /** Whose it is, where that is known. */
  readonly caller: string | undefined
  /** What was read for it and not taken yet; ended after the last event. */
  readonly events: Queue.Queue<OrderEvent, Cause.Done>
  /** Whether the watcher looks for it: its order is there, and it has not ended. */
  open: boolean
  /** The version of the last event it was given. */
  after: number
  /** A version that its order is known to have had: less than `after` where a client says that it had what is not yet. */
  known: number
  /** Whether that event left the order final. */
  final: boolean
  /** Whether there may be more already. */
  more: boolean
}

/**
 * Opens streams of what happens to orders. One watcher reads for all of them, in one statement however many they are,
 * from the store, so that it does not matter which process works on an order. It rests while nobody watches. A reader
 * that lags is not read for until it has taken what it was given, so nothing piles up; no event is lost or repeated,
 * because each look begins at the version that this reader had last.
 */
export const watchOrders = Effect.gen(function* () {
  const reads = yield* OrderReads
  const max = yield* MaxWatched
  const watched = new Set<Watch>()
  const wake = yield* Queue.sliding<void>(1)

  const give = (watch: Watch, found: ReadonlyArray<OrderEvent>, isAll: boolean) => {
    const events = found.filter(({ version }) => version > watch.after)
    const last = events.at(-1)
    if (last !== undefined) {
      watch.after = last.version
      watch.known = last.version
      watch.final = isFinal(last.to)
      Queue.offerAllUnsafe(watch.events, events)
    }
    watch.more = !isAll || found.length === maxEach
    if (!watch.more && watch.final) finish(watch)
  }

  const finish = (watch: Watch) => {
    watch.open = false
    Queue.endUnsafe(watch.events)
  }

  let looks = 0
  /** Looks once for everybody who has taken all; answers how many events there were. */
  const look = Effect.gen(function* () {
    const waiting = Array.from(watched).filter(({ events, open }) => open && Queue.sizeUnsafe(events) === 0)
    if (waiting.length === 0) return 0
    // Many may be at the same place of the same order: it is read once.
    const places = Map.groupBy(waiting, ({ after, id }) => `${id} ${after}`)
    const groups = Array.from(places.values(), (group) => ({ group, place: group[0] as Watch }))
    const asksPresence = ++looks % presenceEvery === 0
    const found = yield* reads.eventsAfter(
      groups.map(({ place: { after, id, known } }) => ({ id, after: asksPresence ? known - 1 : after })),
      { maxEach, maxAll }
    )
    const count = found.reduce((sum, events) => sum + events.length, 0)
    for (const [index, { group }] of groups.entries()) {
      const events = found[index] ?? []
      for (const watch of group) {
        // Deleted with its history, before this reader had heard of its end: nothing more will happen to it.
        if (asksPresence && events.length === 0 && count < maxAll) finish(watch)
        else give(watch, events, count < maxAll)
      }
    }
    return count
  })

  const nextWake = (millis: number) => Effect.timeoutOption(Queue.take(wake), millis)

  let interval = shortest
  const watchAll = Effect.gen(function* () {
    if (watched.size === 0) yield* Queue.take(wake)
    const count = yield* look
    interval = count > 0 ? shortest : Math.min(longest, interval * 2)
    if (count < maxAll) yield* nextWake(interval)
    yield* Effect.sleep(gathering)
  }).pipe(
    Effect.catchTag("OrdersUnavailable", () => pauseBeforeRetry),
    // Whoever watches must not be forgotten because of a bug of ours: it is said, and looked at again.
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("Watched orders could not be read", defect), Effect.sleep("5 seconds"))
    ),
    Effect.forever
  )
  yield* Effect.forkScoped(watchAll)

  // One caller has at most half, or it could keep all others out.
  const maxOfOne = Math.ceil(max / 2)
  const isGreedy = (caller: string | undefined) =>
    caller !== undefined && Array.from(watched).filter((each) => each.caller === caller).length >= maxOfOne

  const enter = (id: OrderId, after: number, caller: string | undefined) =>
    Effect.gen(function* () {
      if (watched.size >= max) return yield* new TooManyWatched({ max })
      if (isGreedy(caller)) {
        const message =
          "You have as many streams of events open as one caller may, half of all. End one first."
        return yield* new TooManyWatched({ max: maxOfOne, message })
      }
      const events = yield* Queue.bounded<OrderEvent, Cause.Done>(maxEach)
      const watch: Watch = { id, caller, events, open: false, after, known: 1, final: false, more: false }
      watched.add(watch)
      return watch
    })
  const leave = (watch: Watch) =>
    Effect.suspend(() => {
      watched.delete(watch)
      return Queue.shutdown(watch.events)
    })

  return Effect.fn("WatchOrders")(function* (
    id: OrderId,
    { after = 0, caller }: { readonly after?: number; readonly caller?: string } = {}
  ): Effect.fn.Return<
    Stream.Stream<OrderEvent>,
    OrderNotFound | OrdersUnavailable | TooManyWatched,
    Scope.Scope
  > {
    const watch = yield* Effect.acquireRelease(enter(id, after, caller), leave)
    const order = yield* reads.find(id)
    if (order.version <= watch.after && isFinal(order.status)) return Stream.empty
    watch.known = Math.max(1, Math.min(after, order.version))
    watch.open = true
    yield* Queue.offer(wake, undefined)
    const taken = Effect.suspend(() => (watch.more ? Queue.offer(wake, undefined) : Effect.void))
    return Stream.fromPull(Effect.succeed(Effect.tap(Queue.takeAll(watch.events), () => taken)))
  })
})
