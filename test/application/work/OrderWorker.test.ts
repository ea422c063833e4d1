import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Exit, Layer, Logger, Ref, Schema, Scope } from "effect"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { OrderWorker } from "../../../src/application/work/OrderWorker.ts"
import {
  type Attempt,
  type AttemptError,
  OrderProcessor,
  PermanentFailure,
  RetryableFailure,
  Snooze,
  Writes
} from "../../../src/application/ports/OrderProcessor.ts"
import { OutcomeNotStorable, WorkStore } from "../../../src/application/ports/WorkStore.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { WorkerSettings } from "../../../src/application/work/WorkerSettings.ts"
import { OrdersUnavailable } from "../../../src/domain/OrderErrors.ts"
import type { OrderId } from "../../../src/domain/OrderId.ts"
import * as OrderPayload from "../../../src/domain/OrderPayload.ts"
import { RetryPolicy } from "../../../src/domain/RetryPolicy.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { newOrder } from "../../TestOrders.ts"
import { pass } from "../../VirtualTime.ts"

const coffee = OrderPayload.make(Schema.Struct({ drink: Schema.String }))
type Coffee = typeof coffee.schema.Type
const platform = OrderPlatform.service(coffee)

/** Platform and worker in memory with a scripted processor; the stores outlive the worker. */
const app = (
  process: (attempt: Attempt<Coffee>) => Effect.Effect<void, AttemptError>,
  settings: Partial<WorkerSettings> = {}
) => {
  const defaults = { ...WorkerSettings.defaultValue(), name: "w1", drainTimeout: Duration.zero, ...settings }
  const worker = OrderWorker.layer(coffee).pipe(
    Layer.provide(OrderProcessor.layer(coffee, process)),
    Layer.provide(Layer.succeed(WorkerSettings, defaults)),
    Layer.provide(Layer.succeed(RetryPolicy, { ...RetryPolicy.defaultValue(), jitter: 0 }))
  )
  return worker.pipe(Layer.provideMerge(OrderPlatform.layer(coffee)), Layer.provideMerge(Memory.layer))
}

const submit = (drink = "espresso") =>
  Effect.flatMap(platform, (orders) => orders.submit({ payload: { drink } }))

const events = (id: OrderId) =>
  Effect.gen(function* () {
    const timeline = yield* (yield* platform).timeline(id)
    return timeline.map(({ event }) => event)
  })

describe("OrderWorker", () => {
  it.effect("an order that succeeds ends PROCESSED after one attempt, with its payload decoded", () => {
    const seen: Array<Attempt<Coffee>> = []
    return Effect.gen(function* () {
      const id = yield* submit("flat white")
      yield* pass("10 millis")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
      assert.deepStrictEqual(
        seen.map(({ attempt, effectKey, payload }) => [attempt, effectKey, payload.drink]),
        [[1, id, "flat white"]]
      )
    }).pipe(Effect.provide(app((attempt) => Effect.sync(() => void seen.push(attempt)))))
  })

  it.effect(
    "the orders of a claim whose reply was lost are released before the next claim, even if the release is late",
    () => {
      let lost = 0
      let refused = 0
      const unavailable = Effect.fail(new OrdersUnavailable({ message: "the database went away" }))
      const troubled = Layer.effect(
        WorkStore,
        Effect.map(WorkStore, (work) => ({
          ...work,
          claim: (request: Parameters<typeof work.claim>[0]) =>
            Effect.flatMap(work.claim(request), (claimed) =>
              claimed.orders.length > 0 && ++lost === 1 ? unavailable : Effect.succeed(claimed)
            ),
          renew: (...lease: Parameters<typeof work.renew>) =>
            ++refused <= 2 ? unavailable : work.renew(...lease)
        }))
      ).pipe(Layer.provideMerge(Memory.layer))
      const worker = OrderWorker.layer(coffee).pipe(
        Layer.provide(OrderProcessor.layer(coffee, () => Effect.void)),
        Layer.provideMerge(OrderPlatform.layer(coffee)),
        Layer.provideMerge(troubled)
      )
      return Effect.gen(function* () {
        const id = yield* submit()
        // Long before the heartbeat, which would find them too.
        yield* pass("3 seconds")
        assert.strictEqual(refused, 3)
        assert.deepStrictEqual(yield* events(id), ["created", "started", "released", "started", "completed"])
        assert.strictEqual((yield* (yield* platform).find(id)).retryCount, 0)
      }).pipe(Effect.provide(worker))
    }
  )

  it.effect("after a claim that dies the worker logs it, and claims again with all its slots", () => {
    let claims = 0
    const dyingOnce = Layer.effect(
      WorkStore,
      Effect.map(WorkStore, (work) => ({
        ...work,
        claim: (request: Parameters<typeof work.claim>[0]) =>
          ++claims === 1 ? Effect.die("a plan that no longer fits") : work.claim(request)
      }))
    ).pipe(Layer.provideMerge(Memory.layer))
    const worker = OrderWorker.layer(coffee).pipe(
      Layer.provide(OrderProcessor.layer(coffee, () => Effect.void)),
      Layer.provide(
        Layer.succeed(WorkerSettings, { ...WorkerSettings.defaultValue(), name: "w1", concurrency: 1 })
      )
    )
    return Effect.gen(function* () {
      const id = yield* submit()
      yield* pass("10 seconds")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
      assert.isAbove(claims, 1)
    }).pipe(
      Effect.provide(
        worker.pipe(Layer.provideMerge(OrderPlatform.layer(coffee)), Layer.provideMerge(dyingOnce))
      )
    )
  })

  it.effect("an order that keeps failing waits longer each time and ends in the DLQ with its reason", () =>
    Effect.gen(function* () {
      const orders = yield* platform
      const id = yield* submit()
      yield* pass("1 minute")
      const order = yield* orders.find(id)
      assert.deepStrictEqual([order.status, order.retryCount, order.failureReason], ["FAILED", 3, "no beans"])
      const timeline = yield* orders.timeline(id)
      const started = timeline.filter(({ event }) => event === "started").map(({ at }) => at)
      assert.deepStrictEqual(
        started.slice(1).map((at, n) => DateTime.distance(started[n] ?? at, at)),
        [Duration.seconds(1), Duration.seconds(2)]
      )
      const { attempts, reason, reasonCode, retryCount } = yield* orders.deadLetter(id)
      assert.deepStrictEqual([reason, reasonCode, retryCount], ["no beans", "PROCESSING_FAILED", 3])
      assert.deepStrictEqual(
        attempts.map(({ attempt, event }) => [event, attempt]),
        [
          ["retried", 1],
          ["retried", 2],
          ["failed", 3]
        ]
      )
    }).pipe(Effect.provide(app(() => new RetryableFailure({ reason: "no beans" }))))
  )

  it.effect("a retry that is due before the next poll starts when it is due", () =>
    Effect.gen(function* () {
      const orders = yield* platform
      const id = yield* submit()
      yield* pass("1 second")
      const started = (yield* orders.timeline(id))
        .filter(({ event }) => event === "started")
        .map(({ at }) => at)
      assert.deepStrictEqual(
        started.slice(1).map((at, n) => DateTime.distance(started[n] ?? at, at)),
        [Duration.millis(100), Duration.millis(100)]
      )
    }).pipe(
      Effect.provide(
        app(() => new RetryableFailure({ reason: "busy", retryIn: Duration.millis(100) }), {
          pollInterval: Duration.seconds(30)
        })
      )
    )
  )

  it.effect("a reprocessed order is announced, starts from the first attempt and can succeed", () =>
    Effect.gen(function* () {
      const machine = yield* Ref.make<"broken" | "repaired">("broken")
      const process = () =>
        Effect.flatMap(Ref.get(machine), (state) =>
          state === "broken" ? Effect.fail(new PermanentFailure({ reason: "no machine" })) : Effect.void
        )
      yield* Effect.gen(function* () {
        const orders = yield* platform
        const id = yield* submit()
        yield* pass("10 millis")
        assert.strictEqual((yield* orders.find(id)).status, "FAILED")
        yield* Ref.set(machine, "repaired")
        yield* orders.reprocess(id)
        yield* pass("10 millis")
        assert.deepStrictEqual(yield* events(id), [
          "created",
          "started",
          "failed",
          "reprocessed",
          "started",
          "completed"
        ])
        assert.strictEqual((yield* Effect.flip(orders.reprocess(id)))._tag, "OrderNotInDeadLetterQueue")
      }).pipe(Effect.provide(app(process)))
    })
  )

  it.effect(
    "a defect, a processor that interrupts itself and a timeout each cost an attempt and affect no other order",
    () =>
      Effect.gen(function* () {
        const orders = yield* platform
        const [bug, self, slow, fine] = [
          yield* submit("bug"),
          yield* submit("self"),
          yield* submit("slow"),
          yield* submit("fine")
        ]
        yield* pass("30 seconds")
        const codes = yield* Effect.forEach([bug, self, slow], orders.deadLetter)
        assert.deepStrictEqual(
          codes.map(({ reasonCode, retryCount }) => [reasonCode, retryCount]),
          [
            ["DEFECT", 3],
            ["DEFECT", 3],
            ["TIMEOUT", 3]
          ]
        )
        assert.strictEqual(codes[0]?.reason, "Error: boom")
        assert.deepStrictEqual(yield* events(fine), ["created", "started", "completed"])
      }).pipe(
        Effect.provide(
          app(
            ({ payload: { drink } }) => {
              if (drink === "bug") return Effect.die(new Error("boom"))
              if (drink === "self") return Effect.interrupt
              return drink === "slow" ? Effect.never : Effect.void
            },
            { attemptTimeout: Duration.seconds(5) }
          )
        )
      )
  )

  it.effect(
    "a snooze costs no attempt, and a delay given by the processor takes precedence over the policy",
    () =>
      Effect.gen(function* () {
        const [snoozed, delayed] = [yield* submit("snooze"), yield* submit("delay")]
        yield* pass("29 seconds")
        const orders = yield* platform
        assert.deepStrictEqual(
          [(yield* orders.find(snoozed)).retryCount, (yield* orders.find(delayed)).retryCount],
          [0, 1]
        )
        assert.deepStrictEqual(yield* events(delayed), ["created", "started", "retried"])
        yield* pass("1 second")
        assert.deepStrictEqual(yield* events(delayed), [
          "created",
          "started",
          "retried",
          "started",
          "retried"
        ])
        assert.deepStrictEqual((yield* events(snoozed)).slice(0, 5), [
          "created",
          "started",
          "snoozed",
          "started",
          "snoozed"
        ])
      }).pipe(
        Effect.provide(
          app(({ payload: { drink } }) =>
            drink === "snooze"
              ? new Snooze({ delay: Duration.seconds(15) })
              : new RetryableFailure({ reason: "busy", retryIn: Duration.seconds(30) })
          )
        )
      )
  )

  it.effect(
    "a stored payload that does not fit the schema goes to the DLQ as UNDECODABLE without running",
    () => {
      let ran = 0
      return Effect.gen(function* () {
        const stores = yield* allStores
        const order = newOrder({ payload: { drnk: "typo" } })
        yield* stores.intake.submit([order])
        yield* pass("2 seconds")
        assert.strictEqual((yield* stores.deadLetters.find(order.id)).reasonCode, "UNDECODABLE")
        assert.strictEqual(ran, 0)
      }).pipe(Effect.provide(app(() => Effect.sync(() => void ran++))))
    }
  )

  it.effect(
    "no more attempts run at once than the concurrency allows, and a slow order delays no other",
    () => {
      let running = 0
      let most = 0
      return Effect.gen(function* () {
        const orders = yield* platform
        const slow = yield* submit("slow")
        const ids = yield* Effect.forEach(Array.from({ length: 50 }), () => submit("fast"), {
          concurrency: 50
        })
        yield* pass("30 seconds")
        const after = yield* Effect.forEach(ids, orders.find)
        assert.deepStrictEqual(new Set(after.map(({ status }) => status)), new Set(["PROCESSED"]))
        assert.strictEqual((yield* orders.find(slow)).status, "PROCESSING")
        assert.strictEqual(most, 3)
      }).pipe(
        Effect.provide(
          app(
            ({ payload: { drink } }) =>
              Effect.sync(() => void (most = Math.max(most, ++running))).pipe(
                Effect.andThen(Effect.sleep(drink === "slow" ? "55 seconds" : "1 second")),
                Effect.ensuring(Effect.sync(() => void running--))
              ),
            { concurrency: 3 }
          )
        )
      )
    }
  )

  it.effect("the lease of a running attempt is renewed for as long as it runs", () =>
    Effect.gen(function* () {
      const id = yield* submit()
      yield* pass("100 seconds")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
    }).pipe(Effect.provide(app(() => Effect.sleep("95 seconds"), { attemptTimeout: Duration.minutes(5) })))
  )

  it.effect("an attempt whose lease was lost is interrupted, and its result is dropped", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      yield* Effect.gen(function* () {
        const stores = yield* allStores
        const id = yield* submit()
        yield* pass("1 second")
        // Another worker claims the order, as it would after this one was frozen past its lease.
        const [held] = yield* stores.work.renew("w1", Duration.zero)
        assert.strictEqual(held?.id, id)
        yield* stores.work.expire(1)
        const [order] = (yield* stores.work.claim({ worker: "w2", lease: Duration.minutes(5), max: 1 }))
          .orders
        assert.strictEqual(order?.id, id)
        yield* pass("10 seconds")
        yield* Deferred.await(interrupted)
        assert.deepStrictEqual(yield* stores.reads.find(id), order)
      }).pipe(
        Effect.provide(
          app(() => Effect.onInterrupt(Effect.never, () => Deferred.done(interrupted, Exit.void)))
        )
      )
    })
  )

  it.effect("an outcome that cannot be stored with the app's writes costs the order no attempt", () => {
    let broken = true
    const brokenOnce = Layer.effect(
      WorkStore,
      Effect.map(WorkStore, (work) => ({
        ...work,
        settleWithWrites: (...args: Parameters<typeof work.settleWithWrites>) =>
          Effect.suspend(() => {
            if (!broken) return work.settleWithWrites(...args)
            broken = false
            return Effect.die(new OutcomeNotStorable({ cause: "a table that lacks a column" }))
          })
      }))
    ).pipe(Layer.provideMerge(Memory.layer))
    const worker = OrderWorker.layer(coffee).pipe(
      Layer.provide(OrderProcessor.layer(coffee, () => Effect.succeed(new Writes({ writes: Effect.void }))))
    )
    return Effect.gen(function* () {
      const id = yield* submit()
      yield* pass("2 minutes")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "released", "started", "completed"])
    }).pipe(
      Effect.provide(
        worker.pipe(Layer.provideMerge(OrderPlatform.layer(coffee)), Layer.provideMerge(brokenOnce))
      )
    )
  })

  it.effect(
    "a worker that holds no order stops without a warning, even while the store is unavailable",
    () => {
      const lines: Array<string> = []
      const logger = Logger.make(
        ({ logLevel, message }) => void lines.push(`${logLevel}: ${String(message)}`)
      )
      let isUnavailable = false
      const unavailable = Effect.fail(new OrdersUnavailable({ message: "the database went away" }))
      const troubled = Layer.effect(
        WorkStore,
        Effect.map(WorkStore, (work) => ({
          ...work,
          settle: (...settlements: Parameters<typeof work.settle>) =>
            isUnavailable ? unavailable : work.settle(...settlements),
          renew: (...lease: Parameters<typeof work.renew>) =>
            isUnavailable ? unavailable : work.renew(...lease)
        }))
      ).pipe(Layer.provideMerge(Memory.layer))
      const stopped = Effect.fnUntraced(function* (
        before: Effect.Effect<unknown, OrdersUnavailable, OrderPlatform<typeof coffee.Payloads>>
      ) {
        isUnavailable = false
        lines.length = 0
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(
          OrderWorker.layer(coffee).pipe(Layer.provide(OrderProcessor.layer(coffee, () => Effect.void))),
          scope
        )
        yield* pass("100 millis")
        isUnavailable = true
        yield* before
        const stopping = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* pass("3 seconds")
        assert.isDefined(stopping.pollUnsafe())
        return lines.filter((line) => line.startsWith("Warn"))
      })
      return Effect.gen(function* () {
        assert.deepStrictEqual(yield* stopped(Effect.void), [])
        assert.deepStrictEqual(yield* stopped(Effect.andThen(Effect.orDie(submit()), pass("100 millis"))), [
          "Warn: The worker stopped before all outcomes were stored; the leases of their orders will expire."
        ])
      }).pipe(
        Effect.provide(
          Layer.merge(OrderPlatform.layer(coffee).pipe(Layer.provideMerge(troubled)), Logger.layer([logger]))
        )
      )
    }
  )

  it.effect("the drain timeout counts from the stop, even while a claim is under way", () => {
    let slow = false
    const slowClaims = Layer.effect(
      WorkStore,
      Effect.map(WorkStore, (work) => ({
        ...work,
        claim: (request: Parameters<typeof work.claim>[0]) =>
          Effect.suspend(() => (slow ? Effect.never : work.claim(request)))
      }))
    ).pipe(Layer.provideMerge(Memory.layer))
    const worker = OrderWorker.layer(coffee).pipe(
      Layer.provide(OrderProcessor.layer(coffee, () => Effect.never)),
      Layer.provide(
        Layer.succeed(WorkerSettings, {
          ...WorkerSettings.defaultValue(),
          name: "w1",
          concurrency: 2,
          drainTimeout: Duration.seconds(5)
        })
      )
    )
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(worker, scope)
      const id = yield* submit()
      yield* pass("100 millis")
      slow = true
      yield* pass("2 seconds")
      const stopping = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* pass("4900 millis")
      assert.deepStrictEqual(yield* events(id), ["created", "started"])
      yield* pass("200 millis")
      assert.deepStrictEqual(yield* events(id), ["created", "started", "released"])
      assert.isDefined(stopping.pollUnsafe())
    }).pipe(Effect.provide(OrderPlatform.layer(coffee).pipe(Layer.provideMerge(slowClaims))))
  })

  it.effect(
    "a worker that stops lets attempts complete until the drain timeout and releases the others, which costs them no attempt",
    () =>
      Effect.gen(function* () {
        const base = yield* Layer.build(OrderPlatform.layer(coffee).pipe(Layer.provideMerge(Memory.layer)))
        yield* Effect.gen(function* () {
          const stores = yield* allStores
          const workerScope = yield* Scope.make()
          const worker = OrderWorker.layer(coffee).pipe(
            Layer.provide(
              OrderProcessor.layer(coffee, ({ payload: { drink } }) =>
                Effect.sleep(drink === "quick" ? "5 seconds" : "5 minutes")
              )
            ),
            Layer.provide(
              Layer.succeed(WorkerSettings, {
                ...WorkerSettings.defaultValue(),
                attemptTimeout: Duration.minutes(10),
                concurrency: 4
              })
            )
          )
          yield* Layer.buildWithScope(worker, workerScope)
          const quick = yield* submit("quick")
          const long = yield* submit("long")
          yield* pass("1 second")
          const stopping = yield* Effect.forkChild(Scope.close(workerScope, Exit.void), {
            startImmediately: true
          })
          const late = yield* submit("late")
          yield* pass("19 seconds")
          assert.isUndefined(stopping.pollUnsafe())
          assert.strictEqual((yield* stores.reads.find(quick)).status, "PROCESSED")
          yield* pass("1 second")
          assert.isDefined(stopping.pollUnsafe())
          assert.deepStrictEqual(yield* events(long), ["created", "started", "released"])
          assert.deepStrictEqual(yield* events(late), ["created"])
          const released = yield* stores.reads.find(long)
          assert.deepStrictEqual([released.status, released.retryCount], ["PENDING", 0])
        }).pipe(Effect.provideContext(base))
      })
  )

  it.effect("orders left by the last worker are claimed by the next one, announced or not", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      const orders = Array.from({ length: 300 }, () => newOrder({ payload: { drink: "left over" } }))
      yield* stores.intake.submit(orders)
      yield* pass("2 seconds")
      const after = yield* Effect.forEach(orders, ({ id }) => stores.reads.find(id))
      assert.deepStrictEqual(new Set(after.map(({ status }) => status)), new Set(["PROCESSED"]))
    }).pipe(Effect.provide(app(() => Effect.void)))
  )
})
