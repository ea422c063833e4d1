import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { WakeUp } from "../../../src/application/ports/WakeUp.ts"
import { IntakeStore } from "../../../src/application/ports/IntakeStore.ts"
import { storesOf } from "../../../src/testing/AllStores.ts"
import { maxWaiting } from "../../../src/application/intake/InsertBatcher.ts"
import { SubmitOrder } from "../../../src/application/intake/SubmitOrder.ts"
import { MaxPending } from "../../../src/application/intake/Backpressure.ts"
import { OrdersUnavailable } from "../../../src/domain/OrderErrors.ts"
import * as MemoryStores from "../../../src/infrastructure/memory/MemoryStores.ts"
import { newOrder } from "../../TestOrders.ts"
import { pass, settled } from "../../VirtualTime.ts"

/** The real submit over a store whose commits the test lets happen, and a queue that notes what it is told. */
const worldOf = Effect.fnUntraced(function* (
  announced: (log: Array<string>, count: number) => Effect.Effect<void>
) {
  const log: Array<string> = []
  const gate = yield* Deferred.make<void>()
  const slowStores = Layer.effect(
    IntakeStore,
    Effect.map(IntakeStore, (intake) =>
      IntakeStore.of({
        ...intake,
        submit: (orders, keyed) =>
          Effect.gen(function* () {
            log.push(`write ${orders.length}`)
            yield* Deferred.await(gate)
            if (orders.some(({ metadata }) => metadata["poison"] !== undefined))
              return yield* Effect.die("refused")
            if (orders.some(({ metadata }) => metadata["away"] !== undefined))
              return yield* new OrdersUnavailable()
            const kept = yield* intake.submit(orders, keyed)
            log.push(`commit ${orders.length}`)
            return kept
          })
      })
    )
  ).pipe(Layer.provideMerge(MemoryStores.layer))
  const queue = Layer.succeed(WakeUp, {
    announce: (count) => announced(log, count),
    awaitAnnouncement: Effect.never
  })
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const context = yield* Layer.buildWithScope(
    SubmitOrder.layer.pipe(Layer.provideMerge(Layer.mergeAll(slowStores, queue))),
    scope
  )
  const submit = (parts: Parameters<typeof newOrder>[0] = {}) =>
    Effect.forkChild(
      Effect.flatMap(SubmitOrder, (submitOrder) => submitOrder.submit(newOrder(parts))).pipe(
        Effect.provideContext(context)
      ),
      { startImmediately: true }
    )
  const submitOnce = (key: string, fingerprint: string) => {
    const order = newOrder()
    const keyed = {
      scope: "caller",
      key,
      fingerprint,
      requestId: order.id,
      orders: [order],
      answer: order.id
    }
    return Effect.flatMap(SubmitOrder, (submitOrder) =>
      submitOrder.submitOnce({ ...keyed, keepFor: Duration.days(1) })
    ).pipe(Effect.provideContext(context))
  }
  const submitMany = (n: number) =>
    Effect.forkChild(
      Effect.flatMap(SubmitOrder, (submitOrder) =>
        submitOrder.submitMany(Array.from({ length: n }, () => newOrder()))
      ).pipe(Effect.provideContext(context)),
      { startImmediately: true }
    )
  return {
    log,
    stores: storesOf(context),
    submit,
    submitMany,
    submitOnce,
    commit: Deferred.succeed(gate, undefined),
    close: Scope.close(scope, Exit.void)
  }
})

const world = worldOf((log, count) => Effect.sync(() => void log.push(`announce ${count}`)))

describe("SubmitOrder", () => {
  it.effect("answers nobody before the commit, and announces only after it", () =>
    Effect.gen(function* () {
      const { commit, log, submit } = yield* world
      const waiting = yield* submit()
      yield* settled
      assert.isUndefined(waiting.pollUnsafe())
      assert.deepStrictEqual(log, ["write 1"])
      yield* commit
      yield* Fiber.join(waiting)
      yield* settled
      assert.deepStrictEqual(log, ["write 1", "commit 1", "announce 1"])
    })
  )

  it.effect("writes what came in during a commit in one statement, and announces it at once", () =>
    Effect.gen(function* () {
      const { commit, log, submit } = yield* world
      const first = yield* submit()
      yield* settled
      const more = yield* Effect.forEach(Array.from({ length: 20 }), () => submit())
      yield* settled
      yield* commit
      yield* Effect.forEach([first, ...more], Fiber.join)
      yield* settled
      assert.deepStrictEqual(log, [
        "write 1",
        "commit 1",
        "announce 1",
        "write 20",
        "commit 20",
        "announce 20"
      ])
    })
  )

  it.effect("a row that the store refuses fails alone; its neighbours are stored", () =>
    Effect.gen(function* () {
      const { commit, submit } = yield* world
      const first = yield* submit()
      yield* settled
      const [before, poison, after] = [
        yield* submit(),
        yield* submit({ metadata: { poison: "" } }),
        yield* submit()
      ]
      yield* commit
      yield* Effect.forEach([first, before, after], Fiber.join)
      const exit = yield* Fiber.await(poison)
      assert.strictEqual(exit._tag, "Failure")
    })
  )

  it.effect("while the store is away everyone who waits is told so, and the next submit is stored", () =>
    Effect.gen(function* () {
      const { commit, submit } = yield* world
      yield* commit
      const away = yield* submit({ metadata: { away: "" } })
      assert.strictEqual((yield* Effect.flip(Fiber.join(away)))._tag, "OrdersUnavailable")
      yield* Fiber.join(yield* submit())
    })
  )

  it.effect("an order for later is not announced", () =>
    Effect.gen(function* () {
      const { commit, log, submit } = yield* world
      yield* commit
      yield* Fiber.join(yield* submit({ notBefore: DateTime.makeUnsafe(60_000) }))
      yield* settled
      assert.deepStrictEqual(log, ["write 1", "commit 1", "announce 0"])
    })
  )

  it.effect(
    "while more orders wait than are taken nobody is let in, and is told when there will be room",
    () =>
      Effect.gen(function* () {
        const { commit, stores, submit } = yield* world
        yield* commit
        const nothingRunsOut = Duration.hours(1)
        for (let n = 0; n < 5; n++) yield* Fiber.join(yield* submit())
        // The first look was at one order; the next is a second later, although nothing comes in any more.
        yield* pass("1 second")
        const refused = yield* Effect.flip(Fiber.join(yield* submit()))
        assert(refused._tag === "Overloaded")
        assert.strictEqual(refused.retryAfterSeconds, 60, "nothing drains yet")
        const finish = Effect.fnUntraced(function* (max: number) {
          const { orders } = yield* stores.work.claim({ worker: "w", lease: nothingRunsOut, max })
          yield* stores.work.settle(orders.map((order) => ({ order, outcome: { event: "completed" } })))
        })
        yield* finish(1)
        yield* pass("1 second")
        const later = yield* Effect.flip(Fiber.join(yield* submit()))
        assert(later._tag === "Overloaded")
        // One too many and one more, at one order in ten seconds.
        assert.strictEqual(later.retryAfterSeconds, 20)
        yield* finish(3)
        yield* pass("1 second")
        yield* Fiber.join(yield* submit())
      }).pipe(Effect.provideService(MaxPending, 3))
  )

  it.effect("while nobody is let in, whoever repeats its call with its key gets the first answer", () =>
    Effect.gen(function* () {
      const { commit, submit, submitOnce } = yield* world
      yield* commit
      const first = yield* submitOnce("k", "same")
      yield* Fiber.join(yield* submit())
      yield* pass("1 second")
      assert.strictEqual((yield* Effect.flip(Fiber.join(yield* submit())))._tag, "Overloaded")
      assert.deepStrictEqual(yield* submitOnce("k", "same"), { ...first, replayed: true })
      assert.strictEqual((yield* Effect.flip(submitOnce("k", "another")))._tag, "IdempotencyMismatch")
      assert.strictEqual((yield* Effect.flip(submitOnce("new", "same")))._tag, "Overloaded")
      assert.strictEqual((yield* Effect.flip(submitOnce("new", "same")))._tag, "Overloaded", "not taken")
    }).pipe(Effect.provideService(MaxPending, 1))
  )

  it.effect("a full intake lets nobody in after five seconds, and those inside are stored", () =>
    Effect.gen(function* () {
      const { commit, log, submit, submitMany } = yield* world
      const first = yield* submit()
      yield* settled
      // The first is being written; this fills the room, and as much waits for room.
      const inside = yield* submitMany(maxWaiting)
      const outside = yield* submitMany(maxWaiting)
      yield* settled
      const refused = yield* Effect.flip(Fiber.join(yield* submit()))
      assert.strictEqual(refused._tag, "Overloaded", "nobody waits beyond that")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Effect.flip(Fiber.join(outside)))._tag, "Overloaded")
      const patient = yield* submit()
      yield* settled
      assert.isUndefined(patient.pollUnsafe())
      yield* commit
      yield* Effect.forEach([first, inside, patient], Fiber.join)
      assert.deepStrictEqual(
        log.filter((line) => line.startsWith("commit")),
        ["commit 1", `commit ${maxWaiting}`, "commit 1"]
      )
    })
  )

  it.effect("an order whose caller has gone away before its turn is not stored, and holds nobody up", () =>
    Effect.gen(function* () {
      const { commit, log, submit } = yield* world
      const first = yield* submit()
      yield* settled
      const gone = yield* submit()
      const second = yield* submit()
      yield* settled
      yield* Fiber.interrupt(gone)
      yield* commit
      yield* Effect.forEach([first, second], Fiber.join)
      yield* settled
      assert.deepStrictEqual(
        log.filter((line) => line.startsWith("commit")),
        ["commit 1", "commit 1"]
      )
    })
  )

  it.effect("nothing is stored where all who waited have gone away, and the next order is", () =>
    Effect.gen(function* () {
      const { commit, log, submit } = yield* world
      const first = yield* submit()
      yield* settled
      yield* Fiber.interrupt(yield* submit())
      yield* commit
      yield* Fiber.join(first)
      yield* settled
      yield* Fiber.join(yield* submit())
      assert.deepStrictEqual(
        log.filter((line) => line.startsWith("write")),
        ["write 1", "write 1"]
      )
    })
  )

  it.effect("an announcement that dies takes nothing back, and is not the end of submits", () =>
    Effect.gen(function* () {
      const { commit, stores, submit } = yield* worldOf(() => Effect.die("a queue with a bug"))
      yield* commit
      const first = newOrder()
      yield* Fiber.join(yield* submit(first))
      yield* settled
      yield* Fiber.join(yield* submit())
      assert.strictEqual((yield* stores.reads.find(first.id)).status, "PENDING")
    })
  )

  it.effect("whoever waits when the process stops is told so at once, and whoever comes then", () =>
    Effect.gen(function* () {
      const { close, log, submit, submitMany } = yield* world
      const writing = yield* submit()
      yield* settled
      const inside = yield* submitMany(maxWaiting)
      const outside = yield* submit()
      yield* settled
      yield* close
      const late = yield* submit()
      for (const told of [writing, inside, outside, late])
        assert.strictEqual((yield* Effect.flip(Fiber.join(told)))._tag, "OrdersUnavailable")
      assert.deepStrictEqual(log, ["write 1"])
    })
  )
})
