import { assert } from "@effect/vitest"
import { DateTime, Duration, Effect, type Layer } from "effect"
import { TestClock } from "effect/testing"
import type { Stores } from "../application/ports/Stores.ts"
import type { ClaimRequest } from "../application/ports/WorkStore.ts"
import { failure } from "../domain/Failure.ts"
import type { NewOrder, Order, Outcome, ProcessingOrder } from "../domain/Order.ts"
import type { Listing, Page, Position } from "../domain/OrderQueries.ts"
import { allStores } from "./AllStores.ts"
import { newOrder } from "./NewOrders.ts"

/** Sets the store's own clock to the time of the test. Does nothing for a store that uses Effect's Clock. */
export type SetStoreClock<R> = (time: DateTime.Utc) => Effect.Effect<unknown, unknown, R>

/** Runs one suite against an adapter, under the adapter's name. The tests of a suite share one store. */
export type StoreContract = <R>(
  name: string,
  layer: Layer.Layer<Stores | R, unknown>,
  setStoreClock: SetStoreClock<R>
) => void

export const lease = Duration.seconds(30)
export const completed: Outcome = { event: "completed" }
export const failed: Outcome = { event: "failed", failure: failure("PERMANENT", "broken") }
export const retried = (millis: number): Outcome => ({
  event: "retried",
  delay: Duration.millis(millis),
  failure: failure("PROCESSING_FAILED", "not yet")
})

/** A new order that `namesOf` recognises. */
export const named = (name: string, parts: Partial<NewOrder> = {}): NewOrder =>
  newOrder({ ...parts, payload: { name } })
export const namesOf = (orders: ReadonlyArray<Order>): ReadonlyArray<unknown> =>
  orders.map(({ payload }) => payload["name"])

/** What the suites of all stores do before and between their steps. */
export const storeScenario = <R>(setStoreClock: SetStoreClock<R>) => {
  const advance = Effect.fnUntraced(function* (by: Duration.Input) {
    yield* TestClock.adjust(by)
    yield* Effect.orDie(setStoreClock(yield* DateTime.now))
  })

  /**
   * Ends every pause, deletes every limit, advances the time by a day, and settles all orders that earlier tests left
   * due or waiting behind a due order. Returns the stores. No worker is registered afterwards.
   */
  const fresh = Effect.gen(function* () {
    const stores = yield* allStores
    const { control, work } = stores
    yield* Effect.forEach(yield* control.pauses, (pause) => control.resume(pause))
    yield* Effect.forEach(yield* control.groups({ limit: 1000, after: null }), ({ group }) =>
      control.deleteGroupLimits(group)
    )
    yield* advance("1 day")
    yield* work.expire(1000)
    let left = true
    while (left) {
      const { orders } = yield* work.claim({ worker: "cleaner", lease, max: 1000 })
      yield* work.settle(orders.map((order) => ({ order, outcome: completed })))
      left = orders.length > 0
    }
    yield* work.deregister("cleaner")
    return stores
  })

  /** A claim of up to ten orders of any type, unless the request says otherwise. */
  const claim = Effect.fnUntraced(function* (request: Partial<ClaimRequest> = {}) {
    const { work } = yield* allStores
    return yield* work.claim({ worker: "w1", lease, max: 10, ...request })
  })
  const claimNames = (request: Partial<ClaimRequest> = {}) =>
    Effect.map(claim(request), ({ orders }) => namesOf(orders))

  const settle = Effect.fnUntraced(function* (orders: ReadonlyArray<ProcessingOrder>, outcome: Outcome) {
    const { work } = yield* allStores
    const results = yield* work.settle(orders.map((order) => ({ order, outcome })))
    assert.deepStrictEqual(
      results,
      orders.map(() => "settled")
    )
  })

  const claimOne = Effect.fnUntraced(function* (worker = "w1") {
    const { work } = yield* allStores
    const { orders } = yield* work.claim({ worker, lease, max: 1 })
    const [order] = orders
    assert(order !== undefined, "no order was due")
    return order
  })

  /** The id of an order that has failed permanently. */
  const failedOrder = Effect.gen(function* () {
    const { intake, work } = yield* allStores
    const order = newOrder()
    yield* intake.submit([order])
    yield* work.settle([{ order: yield* claimOne(), outcome: failed }])
    return order.id
  })

  return { advance, claim, claimNames, claimOne, failedOrder, fresh, settle }
}

/** All entries of a list, page by page; `between` runs after each page. */
export const followPages = Effect.fnUntraced(function* <A, R = never>(
  list: (page: Page) => Effect.Effect<Listing<A>, unknown>,
  limit: number,
  between?: Effect.Effect<unknown, unknown, R>
) {
  const found: Array<A> = []
  let after: Position | null = null
  do {
    const page: Listing<A> = yield* list({ limit, after })
    assert.isAtMost(page.entries.length, limit)
    found.push(...page.entries)
    after = page.next
    if (between !== undefined) yield* between
  } while (after !== null)
  return found
}, Effect.orDie)
