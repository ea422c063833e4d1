import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import type { WorkerReport } from "../domain/Workers.ts"
import { newOrder } from "./NewOrders.ts"
import { completed, lease, type StoreContract, storeScenario } from "./StoreScenario.ts"

const report: WorkerReport = {
  host: "host-1",
  version: "1.2.3",
  role: "serve",
  types: ["invoice", "default"],
  capacity: 100,
  inFlight: 3,
  draining: false,
  breakers: [{ type: "invoice", state: "open", since: DateTime.makeUnsafe("2026-11-22T08:00:00.123Z") }]
}

/** What every implementation of `WorkStore` must do with the registry of workers and their leases. */
export const workersContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`WorkStore: workers on ${name}`, (it) => {
    const { advance, claim, claimOne, fresh, settle } = storeScenario(setStoreClock)

    it.effect("a worker is registered by its first claim or heartbeat, with its last report", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const startedAt = yield* DateTime.now
        yield* stores.work.renew("w2", lease, report)
        assert.deepStrictEqual(yield* stores.control.workers, [
          { ...report, id: "w2", startedAt, seenAt: startedAt }
        ])
        yield* advance("10 seconds")
        const later = yield* DateTime.now
        yield* claim({ worker: "w1" })
        yield* stores.work.renew("w1", lease)
        yield* claim({ worker: "w2" })
        const [first, second] = yield* stores.control.workers
        assert.deepStrictEqual(first, { ...report, id: "w2", startedAt, seenAt: startedAt })
        assert.deepStrictEqual(
          [second?.id, second?.types, second?.startedAt, second?.draining],
          ["w1", null, later, false]
        )
        yield* stores.work.renew("w2", lease, {
          ...report,
          types: null,
          inFlight: 0,
          draining: true,
          breakers: []
        })
        const [changed] = yield* stores.control.workers
        assert.deepStrictEqual(
          [changed?.types, changed?.inFlight, changed?.draining, changed?.breakers, changed?.startedAt],
          [null, 0, true, [], startedAt]
        )
      })
    )

    it.effect("a worker is listed until its lease ends", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.work.renew("w1", lease, report)
        yield* claim({ worker: "w2", lease: Duration.seconds(20) })
        const ids = Effect.map(stores.control.workers, (workers) => workers.map(({ id }) => id).sort())
        assert.deepStrictEqual(yield* ids, ["w1", "w2"])
        yield* advance("20 seconds")
        assert.deepStrictEqual(yield* ids, ["w1"])
        yield* advance("10 seconds")
        assert.deepStrictEqual(yield* ids, [])
      })
    )

    it.effect(
      "a claim extends the lease of all orders that the worker holds, if less than half of it is left",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* stores.intake.submit([newOrder(), newOrder()])
          yield* claimOne()
          yield* advance("20 seconds")
          yield* claimOne()
          yield* advance("20 seconds")
          assert.deepStrictEqual(yield* stores.work.expire(10), [])
          assert.strictEqual((yield* stores.work.renew("w1", lease)).length, 2)
        })
    )

    it.effect("a lease that has ended can be renewed until an order of it is expired", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder()])
        yield* claimOne()
        yield* advance("1 minute")
        assert.deepStrictEqual((yield* claim({ worker: "w2", max: 0 })).nextLeaseEndIn, Duration.zero)
        assert.strictEqual((yield* stores.work.renew("w1", lease)).length, 1)
        assert.deepStrictEqual(yield* stores.work.expire(10), [])
        assert.deepStrictEqual((yield* claim({ worker: "w2", max: 0 })).nextLeaseEndIn, lease)
      })
    )

    it.effect(
      "a worker is refused from its first expired order on; it leaves the registry with the last one",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* stores.intake.submit([newOrder(), newOrder(), newOrder()])
          yield* claim({ worker: "lost" })
          yield* advance(lease)
          assert.strictEqual((yield* stores.work.expire(2)).length, 2)
          const refused = [
            claim({ worker: "lost" }),
            claim({ worker: "lost", max: 0 }),
            stores.work.renew("lost", lease, report)
          ]
          for (const call of refused) {
            const error = yield* Effect.flip(call as Effect.Effect<unknown, { readonly _tag: string }>)
            assert.strictEqual(error._tag, "WorkerExpired")
          }
          assert.deepStrictEqual((yield* claim({ worker: "w2", max: 0 })).nextLeaseEndIn, Duration.zero)
          assert.deepStrictEqual(
            (yield* stores.control.workers).map(({ id }) => id),
            ["w2"]
          )
          assert.strictEqual((yield* stores.work.expire(2)).length, 1)
          assert.deepStrictEqual((yield* claim({ worker: "w2", max: 0 })).nextLeaseEndIn, lease)
          // The id is unknown now, so it may be used again.
          assert.deepStrictEqual(yield* stores.work.renew("lost", lease), [])
        })
    )

    it.effect("leases expire in the sequence of their ends, up to the limit", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit(Array.from({ length: 6 }, () => newOrder()))
        const second = yield* claim({ worker: "a", max: 2, lease: Duration.seconds(20) })
        const first = yield* claim({ worker: "b", max: 2, lease: Duration.seconds(10) })
        yield* claim({ worker: "c", max: 2 })
        yield* advance("20 seconds")
        const expired = (max: number) =>
          Effect.map(stores.work.expire(max), (orders) => orders.map(({ id }) => id).sort())
        const sorted = (orders: ReadonlyArray<{ readonly id: string }>) => orders.map(({ id }) => id).sort()
        const [one, two] = sorted(first.orders)
        const [three, four] = sorted(second.orders)
        assert.deepStrictEqual(yield* expired(1), [one])
        assert.sameMembers(yield* expired(2), [two, three])
        assert.deepStrictEqual(yield* expired(9), [four])
        assert.deepStrictEqual(yield* expired(9), [])
      })
    )

    it.effect(
      "a worker without orders leaves the registry when its lease has ended, or at once if it asks",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          yield* stores.intake.submit([newOrder()])
          yield* stores.work.renew("idle", Duration.seconds(10))
          yield* stores.work.renew("stopping", lease)
          const order = yield* claimOne("busy")
          yield* stores.work.deregister("stopping")
          yield* stores.work.deregister("busy")
          yield* stores.work.deregister("unknown")
          yield* advance("10 seconds")
          assert.deepStrictEqual(
            (yield* stores.control.workers).map(({ id }) => id),
            ["busy"]
          )
          assert.deepStrictEqual(yield* stores.work.expire(10), [])
          assert.deepStrictEqual((yield* claim({ worker: "busy" })).nextLeaseEndIn, Duration.seconds(20))
          yield* settle([order], completed)
          yield* stores.work.deregister("busy")
          assert.deepStrictEqual(yield* stores.control.workers, [])
        })
    )
  })
}
