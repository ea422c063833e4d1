import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import type { OrderId } from "../../src/domain/OrderId.ts"
import type { ProcessingOrder } from "../../src/domain/Order.ts"
import { storesOf } from "../../src/testing/AllStores.ts"
import { newOrder } from "../TestOrders.ts"
import { ownServer } from "./OwnServer.ts"
import { storesOn } from "./StoresOn.ts"

const openMs = 10_000
/** The longest time of a statement of the platform while the transaction is open; far less than it stays open. */
const longestMs = 500
const lease = Duration.minutes(1)
const completed = { event: "completed" } as const

describe("a caller's transaction that stays open after the submit of an order with a key", () => {
  it.live("blocks no settle, claim or submit, and its order runs in its turn after the commit", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer()
      const platform = storesOf(yield* Layer.build(storesOn(url, "public", 6)))
      const app = yield* Layer.build(storesOn(url, "public", 1))

      let longest = { what: "none", ms: 0 }
      let statements = 0
      const timed = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
        Effect.map(Effect.timed(effect), ([took, value]) => {
          statements++
          const ms = Duration.toMillis(took)
          if (ms > longest.ms) longest = { what, ms }
          return value
        })
      const submit = (orderingKey: string | null) =>
        Effect.gen(function* () {
          const order = newOrder({ orderingKey, group: "acme", type: "invoice" })
          yield* timed("submit", platform.intake.submit([order]))
          return order.id
        })
      const claim = (worker: string, types: ReadonlyArray<string>) =>
        Effect.map(
          timed("claim", platform.work.claim({ worker, lease, max: 10, types })),
          ({ orders }) => orders
        )
      const complete = (order: ProcessingOrder) =>
        timed("settle", platform.work.settle([{ order, outcome: completed }]))
      const started: Array<OrderId> = []
      const next = Effect.map(claim("w", ["invoice"]), (orders) => {
        started.push(...orders.map(({ id }) => id))
        return orders
      })

      const first = yield* submit("K")
      const [head] = yield* next
      assert(head !== undefined)

      const [opened, commit] = [yield* Deferred.make<OrderId>(), yield* Deferred.make<void>()]
      const transaction = yield* Effect.gen(function* () {
        const order = newOrder({ orderingKey: "K", group: "acme", type: "invoice" })
        yield* storesOf(app).intake.submit([order])
        yield* Deferred.succeed(opened, order.id)
        yield* Deferred.await(commit)
      }).pipe(Context.get(app, SqlClient.SqlClient).withTransaction, Effect.forkScoped)
      const inTransaction = yield* Deferred.await(opened)

      // Meanwhile others submit, claim and settle, with the same key and without, and lock waits are counted.
      const began = Date.now()
      const busy = yield* Effect.gen(function* () {
        while (Date.now() < began + openMs) {
          yield* timed("submit", platform.intake.submit([newOrder(), newOrder({ orderingKey: "other" })]))
          yield* Effect.forEach(yield* claim("busy", ["default"]), complete)
          yield* timed("renew", platform.work.renew("busy", lease))
          yield* timed("expire", platform.work.expire(10))
        }
      }).pipe(Effect.forkScoped)
      let waiting = 0
      const watching = yield* Effect.gen(function* () {
        while (Date.now() < began + openMs) {
          const rows = yield* query(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND now() - query_start > interval '100 ms'"
          )
          waiting += rows.length
          yield* Effect.sleep("50 millis")
        }
      }).pipe(Effect.forkScoped)

      yield* complete(head)
      const second = yield* submit("K")
      const [later] = yield* next
      assert(
        later !== undefined,
        "the next committed order of the key is started while the transaction is open"
      )
      const third = yield* submit("K")
      assert.deepStrictEqual(yield* next, [])
      yield* Fiber.join(busy)
      yield* Fiber.join(watching)
      assert.isAtLeast(Date.now() - began, openMs)

      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(transaction)
      assert.deepStrictEqual(yield* next, [], "the order of the transaction waits for the one that runs")
      yield* complete(later)
      for (let n = 0; n < 2; n++) {
        const orders = yield* next
        assert.strictEqual(orders.length, 1)
        yield* Effect.forEach(orders, complete)
      }
      assert.deepStrictEqual(started, [first, second, inTransaction, third])

      console.log(`${statements} calls, the longest a ${longest.what} of ${longest.ms.toFixed(0)} ms`)
      assert.strictEqual(waiting, 0, "no session waited for a lock")
      assert.isBelow(longest.ms, longestMs, longest.what)
    }).pipe(Effect.scoped)
  )
})
