import { DateTime, Duration, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { OrderPlatform } from "../application/OrderPlatform.ts"
import type { ListedOrder, Listing, Position } from "../domain/OrderQueries.ts"
import { OrderReads } from "../application/ports/OrderReads.ts"
import type { Order } from "../domain/Order.ts"
import type { OrderId } from "../domain/OrderId.ts"
import type { OrderTypes } from "../domain/OrderTypes.ts"
import type { OrderStatus } from "../domain/OrderStatus.ts"

/** Runs every fiber until all of them wait for time or for the test. */
export const settled = Effect.yieldNow.pipe(Effect.repeat({ times: 100 }))

/** Yields a fifth as often as `settled`, for a caller that checks itself whether something has happened. */
const someTurns = Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))

/** The longest step of virtual time while something may be running. */
const step = Duration.millis(100)

/** A wait in virtual time fails after this time. */
const maxWait = Duration.days(30)

/**
 * Advances virtual time in steps of at most 100 ms, and runs every fiber after each step. In one large step,
 * a fiber whose sleep ends within the step could start its next sleep only at the end of the step.
 */
export const pass = Effect.fnUntraced(function* (duration: Duration.Input) {
  yield* settled
  for (let left = Duration.toMillis(Duration.fromInputUnsafe(duration)); left > 0; left -= 100) {
    yield* TestClock.adjust(Math.min(Duration.toMillis(step), left))
    yield* settled
  }
})

/**
 * The condition that a test waited for in virtual time did not occur; the message says what happened instead.
 */
export class NeverHappened extends Schema.TaggedError<NeverHappened>()("NeverHappened", {
  message: Schema.String
}) {}

/**
 * Advances virtual time until the order has the status, and returns it. It jumps from due time to due time, so that an
 * hour's wait costs no more than a second's. Fails at once if the order ends in another status.
 */
export const awaitStatus = Effect.fnUntraced(function* <T>(
  types: OrderTypes<T>,
  id: OrderId,
  status: OrderStatus
) {
  const platform = yield* OrderPlatform.service(types)
  const started = yield* DateTime.now
  const never = Effect.fnUntraced(function* (order: Order) {
    const { explanation } = yield* platform.explain(id)
    return yield* new NeverHappened({
      message: `The order ${id} is ${order.status} and will not be ${status}: ${explanation}.`
    })
  })
  let order = yield* platform.find(id)
  while (true) {
    const { version } = order
    for (let n = 0; n < 10 && order.version === version && order.status !== status; n++) {
      yield* someTurns
      order = yield* platform.find(id)
    }
    if (order.status === status) return order
    if (order.status === "PROCESSED" || order.status === "FAILED") return yield* never(order)
    const now = yield* DateTime.now
    if (passed(started, now) > Duration.toMillis(maxWait)) return yield* never(order)
    yield* TestClock.adjust(order.status === "PENDING" ? untilDue(order.dueAt, now) : step)
  }
})

/** Advances virtual time until every order is PROCESSED or FAILED; skips the time in which nothing is due. */
export const drain: Effect.Effect<void, NeverHappened, OrderReads> = Effect.gen(function* () {
  const reads = yield* OrderReads
  const started = yield* DateTime.now
  while (true) {
    yield* settled
    const open: Array<Duration.Duration> = []
    for (const status of ["PENDING", "PROCESSING"] as const) {
      const now = yield* DateTime.now
      let after: Position | null = null
      do {
        const { entries, next }: Listing<ListedOrder> = yield* Effect.orDie(
          reads.list({ limit: 200, after }, { status })
        )
        open.push(...entries.map((order) => (order.status === "PENDING" ? untilDue(order.dueAt, now) : step)))
        after = next
      } while (after !== null)
    }
    if (open.length === 0) return
    if (passed(started, yield* DateTime.now) > Duration.toMillis(maxWait))
      return yield* new NeverHappened({ message: `After 30 days ${open.length} orders have not ended.` })
    yield* TestClock.adjust(open.reduce((a, b) => Duration.min(a, b)))
  }
})

const passed = (from: DateTime.Utc, to: DateTime.Utc) => Duration.toMillis(DateTime.distance(from, to))

/** At least one step: an order that is already due waits for the worker's next poll. */
const untilDue = (dueAt: DateTime.Utc, now: DateTime.Utc): Duration.Duration =>
  DateTime.isGreaterThan(dueAt, now) ? DateTime.distance(now, dueAt) : step
