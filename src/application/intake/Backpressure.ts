import { Clock, Context, DateTime, Duration, Effect } from "effect"
import type { NewOrder } from "../../domain/Order.ts"
import { type OrdersUnavailable, Overloaded } from "../../domain/OrderErrors.ts"
import { makeRate, secondsToDrain } from "../../concurrency/Rate.ts"
import { IntakeStore } from "../ports/IntakeStore.ts"
import { makeGroupBackpressure } from "./GroupBackpressure.ts"
import { makeSampling, pauseAfterCounting, samplingInterval } from "./Sampling.ts"

/** The limit of due PENDING orders; beyond it no orders are accepted. A million by default. */
export const MaxPending = Context.Reference<number>("order-platform/application/intake/MaxPending", {
  defaultValue: () => 1_000_000
})

/**
 * The limit of PENDING orders that are not due yet; beyond it no further orders with a `notBefore` in the future are
 * accepted. Ten million by default.
 */
export const MaxScheduled = Context.Reference<number>("order-platform/application/intake/MaxScheduled", {
  defaultValue: () => 10_000_000
})

/**
 * `Retry-After` is the time until this share of the limit is free, so that refused callers do not compete for a single
 * place.
 */
const shareToFree = 0.01
const roomFor = (limit: number) => Math.ceil(limit * shareToFree)

/** Whether the order is not due yet. */
const isScheduled = ({ notBefore }: NewOrder, now: DateTime.Utc) =>
  notBefore !== null && DateTime.isGreaterThan(notBefore, now)

/**
 * A limit that is checked by sampling: samples are taken at intervals while orders are stored, once after the
 * last order was stored, and as long as the limit is exceeded. A sample that fails changes nothing. Before
 * the first sample the limit counts as not exceeded.
 */
const sampledLimit = Effect.fnUntraced(function* (
  sample: Effect.Effect<Overloaded | null, OrdersUnavailable>,
  pauseAfter: (took: Duration.Duration) => Duration.Duration
) {
  let overloaded: Overloaded | null = null
  const update = Effect.map(sample, (result) => {
    overloaded = result
  })
  const { sampleSoon } = yield* makeSampling(
    Effect.map(Effect.ignoreCause(update), () => overloaded !== null),
    pauseAfter
  )
  return { overloaded: () => overloaded, sampleSoon }
})

const makePendingLimit = Effect.gen(function* () {
  const store = yield* IntakeStore
  const max = yield* MaxPending
  const sample = Effect.map(store.countDue(max), ({ drainPerSecond, due }) =>
    due <= max
      ? null
      : new Overloaded({
          message: `More than ${max} due orders are waiting; nothing was stored.`,
          retryAfterSeconds: secondsToDrain(due - max + roomFor(max), drainPerSecond)
        })
  )
  return yield* sampledLimit(sample, () => samplingInterval)
})

const makeScheduledLimit = Effect.gen(function* () {
  const store = yield* IntakeStore
  const max = yield* MaxScheduled
  const sample = Effect.map(store.countScheduled(max, roomFor(max)), ({ roomIn, scheduled }) =>
    scheduled <= max
      ? null
      : new Overloaded({
          message: `More than ${max} orders are waiting for their notBefore; nothing was stored.`,
          retryAfterSeconds: secondsToDrain(Duration.toSeconds(roomIn), 1)
        })
  )
  return yield* sampledLimit(sample, pauseAfterCounting)
})

/**
 * Decides when new orders are refused with `Overloaded`, or those of one group with `GroupOverloaded`, and after how
 * long a caller should try again. Over HTTP both are the problem `overloaded` (contract/Problems.ts has the status). A
 * full body budget (http/body/BodyBytes.ts) and too many event streams (watch/WatchOrder.ts) are answered with the
 * same problem.
 */
export const makeBackpressure = Effect.gen(function* () {
  const pending = yield* makePendingLimit
  const scheduled = yield* makeScheduledLimit
  const groups = yield* makeGroupBackpressure
  const stored = makeRate()

  return {
    /** Why these orders are refused at the moment; null if they are accepted. */
    refusal: (orders: ReadonlyArray<NewOrder>): Effect.Effect<Overloaded | null> =>
      Effect.suspend(() => {
        const tooManyScheduled = scheduled.overloaded()
        if (pending.overloaded() !== null || tooManyScheduled === null)
          return Effect.succeed(pending.overloaded())
        return Effect.map(DateTime.now, (now) =>
          orders.some((order) => isScheduled(order, now)) ? tooManyScheduled : null
        )
      }),
    /** The refusal of this order because of its group; null if the order is accepted. */
    refusalOfGroup: groups.refusal,
    /**
     * Records that these orders were stored, so that each limit that counts some of them is sampled soon.
     * Returns how many of the orders are due.
     */
    recordStored: (orders: ReadonlyArray<NewOrder>) =>
      Effect.map(DateTime.now, (now) => {
        stored.record(orders.length, DateTime.toEpochMillis(now))
        const later = orders.filter((order) => isScheduled(order, now)).length
        if (later > 0) scheduled.sampleSoon()
        if (later < orders.length) pending.sampleSoon()
        groups.recordStored(orders)
        return orders.length - later
      }),
    /** The refusal when the insert queue is full; `queued` is the number of orders in it. */
    queueFull: (queued: number) =>
      Effect.map(
        Clock.currentTimeMillis,
        (now) =>
          new Overloaded({
            message: "Orders arrive faster than they can be stored at the moment; nothing was stored.",
            retryAfterSeconds: secondsToDrain(queued, stored.perSecond(now))
          })
      )
  }
})
export type Backpressure = Effect.Success<typeof makeBackpressure>
