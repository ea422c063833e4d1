import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import { newOrder } from "./NewOrders.ts"
import { lease, type StoreContract, storeScenario } from "./StoreScenario.ts"

/** What `claim`, `renew` and `expire` must do in every implementation of `WorkStore`. */
export const claimContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`WorkStore: claim, renew and expire on ${name}`, (it) => {
    const { advance, claimOne, fresh } = storeScenario(setStoreClock)

    it.effect("a claim takes the best due orders: priority first, then due time, then id", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        const later = newOrder({ notBefore: DateTime.add(yield* DateTime.now, { seconds: 10 }), priority: 9 })
        const [low, high1, high2] = [newOrder(), newOrder({ priority: 5 }), newOrder({ priority: 5 })]
        yield* stores.intake.submit([later, low, high2, high1])
        const first = yield* stores.work.claim({ worker: "w", lease, max: 2 })
        assert.deepStrictEqual(
          first.orders.map(({ id }) => id),
          [high1.id, high2.id].sort()
        )
        const second = yield* stores.work.claim({ worker: "w", lease, max: 2 })
        assert.deepStrictEqual(
          second.orders.map(({ id }) => id),
          [low.id]
        )
        assert.deepStrictEqual(second.nextDueIn, Duration.seconds(10))
        yield* advance("10 seconds")
        const third = yield* stores.work.claim({ worker: "w", lease, max: 2 })
        assert.deepStrictEqual(
          third.orders.map(({ id }) => id),
          [later.id]
        )
      })
    )

    it.effect("no order goes to two concurrent claims", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit(Array.from({ length: 200 }, () => newOrder()))
        const claims = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, n) => `w${n}`),
          (worker) => stores.work.claim({ worker, lease, max: 30 }),
          { concurrency: 10 }
        )
        const ids = claims.flatMap(({ orders }) => orders.map(({ id }) => id))
        assert.strictEqual(new Set(ids).size, ids.length)
        const rest = yield* stores.work.claim({ worker: "w", lease, max: 200 })
        assert.strictEqual(ids.length + rest.orders.length, 200)
      })
    )

    it.effect(
      "an expired lease costs an attempt and makes the order due at once; the last attempt ends FAILED as WORKER_LOST",
      () =>
        Effect.gen(function* () {
          const stores = yield* fresh
          const order = newOrder({ maxRetries: 2 })
          yield* stores.intake.submit([order])
          yield* claimOne("w1")
          yield* advance(Duration.subtract(lease, Duration.millis(1)))
          assert.deepStrictEqual(yield* stores.work.expire(10), [])
          const idle = yield* stores.work.claim({ worker: "w2", lease, max: 1 })
          assert.deepStrictEqual(idle.nextLeaseEndIn, Duration.millis(1))
          yield* advance("1 millis")
          const [expired] = yield* stores.work.expire(10)
          assert.deepStrictEqual([expired?.status, expired?.retryCount], ["PENDING", 1])
          yield* claimOne("w2")
          yield* advance(lease)
          const [lost] = yield* stores.work.expire(10)
          assert.deepStrictEqual([lost?.status, lost?.retryCount, lost?.version], ["FAILED", 2, 5])
          assert.strictEqual((yield* stores.deadLetters.find(order.id)).reasonCode, "WORKER_LOST")
          assert.deepStrictEqual(
            (yield* stores.reads.timeline(order.id)).map(({ attempt, event, worker }) => [
              event,
              attempt,
              worker
            ]),
            [
              ["created", 1, null],
              ["started", 1, "w1"],
              ["expired", 1, "w1"],
              ["started", 2, "w2"],
              ["expired", 2, "w2"]
            ]
          )
        })
    )

    it.effect("a renewed lease does not expire, and renewing returns exactly the orders of this worker", () =>
      Effect.gen(function* () {
        const stores = yield* fresh
        yield* stores.intake.submit([newOrder(), newOrder()])
        const mine = yield* claimOne("w1")
        const other = yield* claimOne("w2")
        yield* advance("20 seconds")
        const held = yield* stores.work.renew("w1", lease)
        assert.deepStrictEqual(
          held.map(({ id, version }) => [id, version]),
          [[mine.id, mine.version]]
        )
        yield* advance("20 seconds")
        assert.deepStrictEqual(
          (yield* stores.work.expire(10)).map(({ id }) => id),
          [other.id]
        )
        assert.deepStrictEqual((yield* stores.reads.find(mine.id)).version, mine.version)
      })
    )
  })
}
