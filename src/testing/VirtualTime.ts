import { DateTime, Duration, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { OrderPlatform } from "../application/OrderPlatform.ts"
import type { ListedOrder, Listing, Position } from "../domain/OrderQueries.ts"
import { OrderReads } from "../application/ports/OrderReads.ts"
import type { Order } from "../domain/Order.ts"
import type { OrderId } from "../domain/OrderId.ts"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import type { OrderStatus } from "../domain/OrderStatus.ts"

/** Lets every fiber run until all of them wait for time, or for what the test does next. */
export const settled = Effect.yieldNow.pipe(Effect.repeat({ times: 100 }))

/** A fifth of that, for a test that can tell by itself whether something has happened. */
const someTurns = Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))

/** The longest step that virtual time takes at once while something may be under way. */
const step = Duration.millis(100)

/** Time stops here for a test that waits for what never happens. */
const patience = Duration.days(30)

/**
 * Lets virtual time pass in steps of at most 100 ms, with all that has to happen at each step happening then. One
 * large step would let a fiber that was woken early start its next sleep late.
 */
export const pass = Effect.fnUntraced(function* (duration: Duration.Input) {
  yield* settled
  for (let left = Duration.toMillis(Duration.fromInputUnsafe(duration)); left > 0; left -= 100) {
    yield* TestClock.adjust(Math.min(Duration.toMillis(step), left))
    yield* settled
  }
})

/** What a test waited for in virtual time did not happen; the message says where things stood. */
export class NeverHappened extends Schema.TaggedError<NeverHappened>()("NeverHappened", {
  message: Schema.String
}) {}

/**
 * Lets virtual time pass until the order has the status, and answers it. It jumps from due time to due time, so that
 * an hour's wait costs no more than a second's. Fails at once where the order ended in another status.
 */
export const awaitStatus = Effect.fnUntraced(function* <P>(
  payload: OrderPayload<P>,
  id: OrderId,
  status: OrderStatus
) {
  const platform = yield* OrderPlatform.service(payload)
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
    if (passed(started, now) > Duration.toMillis(patience)) return yield* never(order)
    yield* TestClock.adjust(order.status === "PENDING" ? untilDue(order.dueAt, now) : step)
  }
})

/** Lets virtual time pass until every order is PROCESSED or FAILED; jumps over the time in which nothing is due. */
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
    if (passed(started, yield* DateTime.now) > Duration.toMillis(patience))
      return yield* new NeverHappened({ message: `After 30 days ${open.length} orders have not ended.` })
    yield* TestClock.adjust(open.reduce((a, b) => Duration.min(a, b)))
  }
})

const passed = (from: DateTime.Utc, to: DateTime.Utc) => Duration.toMillis(DateTime.distance(from, to))

/** At least a step: what is due already waits for a worker that is not looking at the moment. */
const untilDue = (dueAt: DateTime.Utc, now: DateTime.Utc): Duration.Duration =>
  DateTime.isGreaterThan(dueAt, now) ? DateTime.distance(now, dueAt) : step
