import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import type { Order, Outcome } from "../domain/Order.ts"
import type { OrderId } from "../domain/OrderId.ts"
import type { OrderFilter } from "../domain/OrderQueries.ts"
import { OrderStatus } from "../domain/OrderStatus.ts"
import { newOrder } from "./NewOrders.ts"
import {
  completed,
  failed,
  followPages,
  lease,
  retried,
  type StoreContract,
  storeScenario
} from "./StoreScenario.ts"

/** What `list` must do in every implementation of `OrderReads`. */
export const listContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`OrderReads: list on ${name}`, (it) => {
    const { advance, fresh } = storeScenario(setStoreClock)

    const listed = (order: Order): unknown => {
      const { payload: _, ...listed } = order
      return listed
    }
    const newestFirst = (orders: ReadonlyArray<Order>) =>
      [...orders].sort((a, b) => DateTime.Order(b.createdAt, a.createdAt) || (a.id > b.id ? -1 : 1))

    /** Forty orders created at a few different times, in every state, with all sorts of metadata. */
    const allSorts = Effect.gen(function* () {
      const stores = yield* fresh
      const start = yield* DateTime.now
      const ids: Array<OrderId> = []
      for (let n = 0; n < 40; n++) {
        const metadata = {
          ...(n % 2 === 0 ? { shop: String(n % 3) } : {}),
          ...(n % 5 === 0 ? { "a.b c": '\u00fc"\\' } : {})
        }
        const order = newOrder({
          metadata,
          payload: { n },
          type: n % 3 === 0 ? "invoice" : "default",
          orderingKey: n % 10 === 0 ? `key ${n}` : null,
          group: n % 4 === 0 ? "acme" : n % 4 === 1 ? "other" : null
        })
        ids.push(order.id)
        yield* stores.intake.submit([order])
        if (n % 4 === 3) yield* advance("1 second")
      }
      const { orders } = yield* stores.work.claim({ worker: "w1", lease, max: 28 })
      const outcomes: ReadonlyArray<Outcome> = [completed, failed, retried(100_000)]
      yield* stores.work.settle(
        orders.slice(0, 21).map((order, n) => ({ order, outcome: outcomes[n % 3] ?? completed }))
      )
      const all = newestFirst(yield* Effect.forEach(ids, stores.reads.find))
      return { stores, start, all }
    })

    it.effect(
      "a list has every order that matches the whole filter, newest first, in pages of any size",
      () =>
        Effect.gen(function* () {
          const { all, stores, start } = yield* allSorts
          const at = (seconds: number) => DateTime.add(start, { seconds })
          const filters: ReadonlyArray<OrderFilter> = [
            {},
            ...OrderStatus.literals.map((status) => ({ status })),
            { retrying: true },
            { retrying: true, status: "PENDING" },
            { retrying: true, status: "FAILED" },
            { createdBefore: at(3) },
            { createdAfter: at(3), createdBefore: at(3) },
            { createdAfter: at(3), createdBefore: at(4), status: "PROCESSED" },
            { createdAfter: at(1000) },
            { metadata: { shop: "0" } },
            { metadata: { shop: "1" }, status: "FAILED" },
            { metadata: { shop: "2" }, retrying: true },
            { metadata: { "a.b c": '\u00fc"\\' } },
            { metadata: { shop: "0", "a.b c": '\u00fc"\\' } },
            { metadata: { shop: "none" } },
            { type: "invoice" },
            { type: "none" },
            { orderingKey: "key 10" },
            { group: "acme" },
            { type: "default", orderingKey: "key 20", group: "acme" },
            { type: "invoice", group: "other", status: "PROCESSED" },
            { group: "acme", metadata: { shop: "0" }, createdAfter: at(2) },
            { metadata: { none: "0" } },
            { metadata: { shop: "0" }, createdAfter: at(2), createdBefore: at(7), status: "PENDING" }
          ]
          for (const given of filters) {
            // The store also holds orders of other tests, all created before `start`.
            const filter = { createdAfter: start, ...given }
            const matches = all.filter(
              (order) =>
                (filter.status === undefined || order.status === filter.status) &&
                (filter.retrying === undefined || (order.status === "PENDING" && order.retryCount > 0)) &&
                (filter.type === undefined || order.type === filter.type) &&
                (filter.orderingKey === undefined || order.orderingKey === filter.orderingKey) &&
                (filter.group === undefined || order.group === filter.group) &&
                !DateTime.isLessThan(order.createdAt, filter.createdAfter) &&
                (filter.createdBefore === undefined ||
                  DateTime.isLessThan(order.createdAt, filter.createdBefore)) &&
                Object.entries(filter.metadata ?? {}).every(([key, value]) => order.metadata[key] === value)
            )
            for (const limit of [1, 3, 7, 200]) {
              const found = yield* followPages((page) => stores.reads.list(page, filter), limit)
              assert.deepStrictEqual(found, matches.map(listed), JSON.stringify([given, limit]))
            }
          }
        })
    )

    it.effect(
      "paging returns every order that existed at the start exactly once, while others are submitted, settled and failed",
      () =>
        Effect.gen(function* () {
          const { all, stores, start } = yield* allSorts
          const filter = { createdAfter: start }
          const traffic = Effect.gen(function* () {
            yield* stores.intake.submit([newOrder({ metadata: { shop: "0" } }), newOrder()])
            yield* advance("1 millis")
            const { orders } = yield* stores.work.claim({ worker: "w2", lease, max: 2 })
            yield* stores.work.settle(
              orders.map((order, n) => ({ order, outcome: n === 0 ? failed : completed }))
            )
            yield* stores.work.expire(1)
          })
          for (const [given, there] of [
            [filter, all],
            [{ ...filter, metadata: { shop: "0" } }, all.filter(({ metadata }) => metadata["shop"] === "0")]
          ] as const) {
            const before = (yield* followPages((page) => stores.reads.list(page, given), 200)).map(
              ({ id }) => id
            )
            const found = (yield* followPages((page) => stores.reads.list(page, given), 3, traffic)).map(
              ({ id }) => id
            )
            assert.strictEqual(new Set(found).size, found.length)
            assert.deepStrictEqual(found, before)
            assert.includeMembers(
              found,
              there.map(({ id }) => id)
            )
          }
        })
    )
  })
}
