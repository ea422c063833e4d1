import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { cancelOrder } from "../../../src/application/control/CancelOrder.ts"
import { RetryableFailure, Writes } from "../../../src/application/ports/OrderProcessor.ts"
import type { OrderId } from "../../../src/domain/OrderId.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { newOrder } from "../../TestOrders.ts"
import { pass } from "../../VirtualTime.ts"
import { events, startWorker, store, storesWith, timeline } from "./Workers.ts"

/** Requests a cancel without announcing it. */
const requestCancel = (id: OrderId | undefined) =>
  Effect.flatMap(allStores, ({ control }) => control.cancel(id as OrderId, { reason: "not wanted" }))

describe("a cancel of a running order", () => {
  it.effect(
    "interrupts its attempt within two seconds, whichever worker runs it and however rarely it polls",
    () =>
      Effect.gen(function* () {
        const interrupted: Array<OrderId> = []
        const hang = ({ orderId }: { readonly orderId: OrderId }) =>
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted.push(orderId)))
        const ids = yield* store({}, {})
        yield* startWorker(hang, { name: "w1", concurrency: 1 })
        yield* startWorker(hang, { name: "w2", concurrency: 1 })
        yield* pass("5 seconds")
        for (const id of ids) {
          assert.deepStrictEqual(yield* events(id), ["created", "started"])
          yield* requestCancel(id)
          yield* pass("1900 millis")
          const { worker } = (yield* timeline(id))[1] ?? {}
          const last = (yield* timeline(id)).at(-1)
          assert.deepStrictEqual(
            [last?.event, last?.reason, last?.worker, last?.attempt],
            ["cancelled", "not wanted", worker, 1]
          )
        }
        assert.deepStrictEqual(interrupted, ids)
      }).pipe(Effect.provide(Memory.layer))
  )

  it.effect("is announced, and interrupts within 300 ms even if the worker has no free slot", () =>
    Effect.gen(function* () {
      const [id] = yield* store({})
      yield* startWorker(() => Effect.never, { concurrency: 1 })
      yield* pass("5 seconds")
      yield* cancelOrder(id as OrderId)
      yield* pass("300 millis")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "cancelled"])
    }).pipe(Effect.provide(Memory.layer))
  )

  it.effect("does not interrupt an attempt that is storing its outcome", () =>
    Effect.gen(function* () {
      const [id] = yield* store({})
      yield* startWorker(() => Effect.succeed(new Writes({ writes: Effect.sleep("10 seconds") })))
      yield* pass("1 second")
      yield* cancelOrder(id as OrderId)
      yield* pass("10 seconds")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
    }).pipe(Effect.provide(Memory.layer))
  )

  it.effect("is found by the heartbeat too, if the look for cancels fails", () =>
    Effect.gen(function* () {
      const [id] = yield* store({})
      yield* startWorker(() => Effect.never, { lease: Duration.seconds(9) })
      yield* pass("1 second")
      yield* cancelOrder(id as OrderId)
      yield* pass("4 seconds")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "cancelled"])
    }).pipe(Effect.provide(storesWith(() => ({ findCancelRequests: () => Effect.die("no such table") }))))
  )

  it.effect("leaves a later attempt alone if the answer about the earlier attempt is late", () => {
    let looks = 0
    const lateAnswer = (ids: ReadonlyArray<OrderId>) =>
      storesWith(() => ({
        findCancelRequests: () =>
          Effect.delay(
            Effect.sync(() => (++looks === 1 ? ids : [])),
            "3 seconds"
          )
      }))
    const order = newOrder()
    let runs = 0
    const process = () =>
      Effect.suspend(() =>
        ++runs === 1
          ? Effect.andThen(
              Effect.sleep("2 seconds"),
              new RetryableFailure({ reason: "busy", retryIn: Duration.zero })
            )
          : Effect.never
      )
    return Effect.gen(function* () {
      yield* store(order)
      yield* startWorker(process)
      yield* pass("10 seconds")
      assert.isAbove(looks, 0)
      assert.deepStrictEqual(yield* events(order.id), ["created", "started", "retried", "started"])
    }).pipe(Effect.provide(lateAnswer([order.id])))
  })
})

describe("an idle worker", () => {
  it.effect("does not look for cancels, and makes fewer than 120 statements a minute", () => {
    let looks = 0
    let statements = 0
    const counted = storesWith((work) => ({
      claim: (request) => (statements++, work.claim(request)),
      renew: (...args) => (statements++, work.renew(...args)),
      expire: (max) => (statements++, work.expire(max)),
      settle: (settlements) => (statements++, work.settle(settlements)),
      findCancelRequests: (worker) => (looks++, work.findCancelRequests(worker))
    }))
    return Effect.gen(function* () {
      yield* startWorker(() => Effect.void, { pollInterval: Duration.seconds(1) })
      yield* pass("1 minute")
      assert.strictEqual(looks, 0)
      assert.isBelow(statements, 90)
    }).pipe(Effect.provide(counted))
  })
})
