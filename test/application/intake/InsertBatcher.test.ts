import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { makeBackpressure } from "../../../src/application/intake/Backpressure.ts"
import { makeInsertBatcher, maxQueued } from "../../../src/application/intake/InsertBatcher.ts"
import { IntakeStore } from "../../../src/application/ports/IntakeStore.ts"
import { WakeUp } from "../../../src/application/ports/WakeUp.ts"
import type { NewOrder } from "../../../src/domain/Order.ts"
import { OrdersUnavailable, TextNotStorable } from "../../../src/domain/OrderErrors.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { storesOf } from "../../../src/testing/AllStores.ts"
import { newOrder } from "../../TestOrders.ts"
import { settled } from "../../VirtualTime.ts"

/** Memory stores that log each write, wait for `gate` before it, and refuse orders whose metadata says so. */
const gatedStores = (log: Array<string>, gate: Deferred.Deferred<void>) =>
  Layer.effect(
    IntakeStore,
    Effect.map(IntakeStore, (intake) =>
      IntakeStore.of({
        ...intake,
        submit: Effect.fnUntraced(function* (orders, keyed) {
          log.push(`write ${orders.length}`)
          yield* Deferred.await(gate)
          if (orders.some(({ metadata }) => metadata["poison"] !== undefined))
            return yield* Effect.die("refused")
          if (orders.some(({ metadata }) => metadata["untranslatable"] !== undefined))
            return yield* new TextNotStorable()
          if (orders.some(({ metadata }) => metadata["away"] !== undefined))
            return yield* new OrdersUnavailable()
          const answers = yield* intake.submit(orders, keyed)
          log.push(`commit ${orders.length}`)
          return answers
        })
      })
    )
  ).pipe(Layer.provideMerge(Memory.layerStores))

/** The batcher over gated stores; `commit` opens the gate permanently. */
const batcherWith = Effect.fnUntraced(function* (
  announce: (log: Array<string>, count: number) => Effect.Effect<void>
) {
  const log: Array<string> = []
  const gate = yield* Deferred.make<void>()
  const wakeUp = Layer.succeed(WakeUp, {
    announce: (count) => announce(log, count),
    awaitAnnouncement: Effect.never
  })
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const context = yield* Layer.buildWithScope(Layer.merge(gatedStores(log, gate), wakeUp), scope)
  const { insert } = yield* Effect.flatMap(makeBackpressure, makeInsertBatcher).pipe(
    Effect.provideContext(context),
    Scope.provide(scope)
  )
  const insertMany = (orders: ReadonlyArray<NewOrder>) =>
    Effect.forkChild(insert(orders), { startImmediately: true })
  return {
    log,
    reads: storesOf(context).reads,
    insert: (parts: Partial<NewOrder> = {}) => insertMany([newOrder(parts)]),
    insertMany: (count: number) => insertMany(Array.from({ length: count }, () => newOrder())),
    commit: Deferred.succeed(gate, undefined),
    close: Scope.close(scope, Exit.void)
  }
})

const batcher = batcherWith((log, count) => Effect.sync(() => void log.push(`announce ${count}`)))

const commitsOf = (log: ReadonlyArray<string>) => log.filter((line) => line.startsWith("commit"))

describe("InsertBatcher", () => {
  it.effect("a call returns after its commit, and its order is announced after it", () =>
    Effect.gen(function* () {
      const { commit, insert, log } = yield* batcher
      const call = yield* insert()
      yield* settled
      assert.isUndefined(call.pollUnsafe())
      assert.deepStrictEqual(log, ["write 1"])
      yield* commit
      yield* Fiber.join(call)
      yield* settled
      assert.deepStrictEqual(log, ["write 1", "commit 1", "announce 1"])
    })
  )

  it.effect("orders that arrive during a commit are written by one statement and announced together", () =>
    Effect.gen(function* () {
      const { commit, insert, log } = yield* batcher
      const first = yield* insert()
      yield* settled
      const more = yield* Effect.forEach(Array.from({ length: 20 }), () => insert())
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

  it.effect("an order that the store refuses fails alone; the others of its batch are stored", () =>
    Effect.gen(function* () {
      const { commit, insert } = yield* batcher
      const first = yield* insert()
      yield* settled
      const [before, poison, after] = [
        yield* insert(),
        yield* insert({ metadata: { poison: "" } }),
        yield* insert()
      ]
      yield* commit
      yield* Effect.forEach([first, before, after], Fiber.join)
      assert.strictEqual((yield* Fiber.await(poison))._tag, "Failure")
    })
  )

  it.effect("an order with a character that the store cannot hold fails alone, with that error", () =>
    Effect.gen(function* () {
      const { commit, insert, log } = yield* batcher
      const first = yield* insert()
      yield* settled
      const others = [yield* insert(), yield* insert({ metadata: { untranslatable: "" } }), yield* insert()]
      yield* commit
      const errors = yield* Effect.forEach([first, ...others], (call) =>
        Effect.flip(Fiber.join(call)).pipe(Effect.option)
      )
      assert.deepStrictEqual(
        errors.map((error) => (error._tag === "Some" ? error.value._tag : null)),
        [null, null, "TextNotStorable", null]
      )
      assert.deepStrictEqual(commitsOf(log), ["commit 1", "commit 1", "commit 1"])
    }).pipe(Effect.scoped)
  )

  it.effect("when the store is unavailable every call of the batch fails, and the next call is stored", () =>
    Effect.gen(function* () {
      const { commit, insert } = yield* batcher
      yield* commit
      const away = yield* insert({ metadata: { away: "" } })
      assert.strictEqual((yield* Effect.flip(Fiber.join(away)))._tag, "OrdersUnavailable")
      yield* Fiber.join(yield* insert())
    })
  )

  it.effect("a scheduled order is not announced", () =>
    Effect.gen(function* () {
      const { commit, insert, log } = yield* batcher
      yield* commit
      yield* Fiber.join(yield* insert({ notBefore: DateTime.makeUnsafe(60_000) }))
      yield* settled
      assert.deepStrictEqual(log, ["write 1", "commit 1", "announce 0"])
    })
  )

  it.effect("a full queue refuses calls after five seconds, and stores what is queued", () =>
    Effect.gen(function* () {
      const { commit, insert, insertMany, log } = yield* batcher
      const first = yield* insert()
      yield* settled
      // The first is being written; these fill the queue, and as many again wait to enter it.
      const queued = yield* insertMany(maxQueued)
      const waiting = yield* insertMany(maxQueued)
      yield* settled
      const refused = yield* Effect.flip(Fiber.join(yield* insert()))
      assert.strictEqual(refused._tag, "Overloaded", "no more than that may wait")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Effect.flip(Fiber.join(waiting)))._tag, "Overloaded")
      const next = yield* insert()
      yield* settled
      assert.isUndefined(next.pollUnsafe())
      yield* commit
      yield* Effect.forEach([first, queued, next], Fiber.join)
      assert.deepStrictEqual(commitsOf(log), ["commit 1", `commit ${maxQueued}`, "commit 1"])
    })
  )

  it.effect("an order whose call is interrupted before its batch is taken is not stored", () =>
    Effect.gen(function* () {
      const { commit, insert, log } = yield* batcher
      const first = yield* insert()
      yield* settled
      const interrupted = yield* insert()
      const second = yield* insert()
      yield* settled
      yield* Fiber.interrupt(interrupted)
      yield* commit
      yield* Effect.forEach([first, second], Fiber.join)
      yield* settled
      assert.deepStrictEqual(commitsOf(log), ["commit 1", "commit 1"])
    })
  )

  it.effect("an interrupted call frees its capacity in the queue at once", () =>
    Effect.gen(function* () {
      const { commit, insert, insertMany, log } = yield* batcher
      const first = yield* insert()
      yield* settled
      const queued = yield* insertMany(maxQueued)
      const waiting = yield* insert()
      yield* settled
      yield* Fiber.interrupt(queued)
      // If it still had to wait for capacity, it would have been refused by now.
      yield* TestClock.adjust("6 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* commit
      yield* Effect.forEach([first, waiting], Fiber.join)
      assert.deepStrictEqual(commitsOf(log), ["commit 1", "commit 1"])
    })
  )

  it.effect("nothing is written when every queued call was interrupted, and the next order is stored", () =>
    Effect.gen(function* () {
      const { commit, insert, log } = yield* batcher
      const first = yield* insert()
      yield* settled
      yield* Fiber.interrupt(yield* insert())
      yield* commit
      yield* Fiber.join(first)
      yield* settled
      yield* Fiber.join(yield* insert())
      assert.deepStrictEqual(
        log.filter((line) => line.startsWith("write")),
        ["write 1", "write 1"]
      )
    })
  )

  it.effect("a defect in an announcement undoes no insert and does not stop the batcher", () =>
    Effect.gen(function* () {
      const { commit, insert, reads } = yield* batcherWith(() => Effect.die("a wake-up with a bug"))
      yield* commit
      const first = newOrder()
      yield* Fiber.join(yield* insert(first))
      yield* settled
      yield* Fiber.join(yield* insert())
      assert.strictEqual((yield* reads.find(first.id)).status, "PENDING")
    })
  )

  it.effect("when the process stops, waiting and later calls fail at once", () =>
    Effect.gen(function* () {
      const { close, insert, insertMany, log } = yield* batcher
      const writing = yield* insert()
      yield* settled
      const queued = yield* insertMany(maxQueued)
      const waiting = yield* insert()
      yield* settled
      yield* close
      const late = yield* insert()
      for (const call of [writing, queued, waiting, late])
        assert.strictEqual((yield* Effect.flip(Fiber.join(call)))._tag, "OrdersUnavailable")
      assert.deepStrictEqual(log, ["write 1"])
    })
  )
})
