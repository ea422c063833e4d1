import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { MaxWatched, makeWatchOrder } from "../../../src/application/watch/WatchOrder.ts"
import type { Outcome, ProcessingOrder } from "../../../src/domain/Order.ts"
import { OrdersUnavailable } from "../../../src/domain/OrderErrors.ts"
import type { OrderEvent } from "../../../src/domain/OrderEvent.ts"
import type { OrderId } from "../../../src/domain/OrderId.ts"
import { OrderReads } from "../../../src/application/ports/OrderReads.ts"
import { storesOf } from "../../../src/testing/AllStores.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { newOrder } from "../../TestOrders.ts"
import { pass } from "../../VirtualTime.ts"

const completed: Outcome = { event: "completed" }
const later: Outcome = { event: "snoozed", delay: Duration.zero, detail: null }

/** A memory store that records the number of orders in each read of events, and can be made unavailable. */
const watching = Effect.gen(function* () {
  const stores = storesOf(yield* Layer.build(Memory.layerStores))
  const readSizes: Array<number> = []
  let trouble: Effect.Effect<void, OrdersUnavailable> = Effect.void
  const reads = OrderReads.of({
    ...stores.reads,
    eventsAfter: (places, limits) =>
      Effect.suspend(() => {
        readSizes.push(places.length)
        return Effect.andThen(trouble, stores.reads.eventsAfter(places, limits))
      })
  })
  const watch = yield* Effect.provideService(makeWatchOrder, OrderReads, reads)
  const submit = Effect.fnUntraced(function* (count: number) {
    const orders = Array.from({ length: count }, () => newOrder())
    yield* stores.intake.submit(orders)
    return orders.map(({ id }) => id)
  })
  const claim = Effect.map(
    stores.work.claim({ worker: "w", lease: Duration.hours(10), max: 1000 }),
    ({ orders }) => orders
  )
  const settle = (orders: ReadonlyArray<ProcessingOrder>, outcome: Outcome) =>
    stores.work.settle(orders.map((order) => ({ order, outcome })))
  const read = (id: OrderId, after = 0) =>
    Effect.forkChild(Effect.scoped(Effect.flatMap(watch(id, { after }), Stream.runCollect)))
  const setTrouble = (next: typeof trouble) => Effect.sync(() => void (trouble = next))
  return { stores, readSizes, watch, submit, claim, settle, read, setTrouble }
})

const versions = (events: ReadonlyArray<OrderEvent>) => events.map(({ version }) => version)

describe("WatchOrder", () => {
  it.effect(
    "one statement reads the events of 500 watched orders, and none is sent when no order is watched",
    () =>
      Effect.gen(function* () {
        const { readSizes, claim, read, settle, submit } = yield* watching
        yield* pass("10 seconds")
        assert.deepStrictEqual(readSizes, [])
        const ids = yield* submit(500)
        const readers = yield* Effect.forEach(ids, (id) => read(id))
        yield* pass("20 seconds")
        // Two reads a second, not five hundred.
        assert.isBelow(readSizes.length, 50)
        assert.strictEqual(readSizes.at(-1), 500)
        yield* settle(yield* claim, completed)
        yield* pass("1 second")
        for (const reader of readers) assert.deepStrictEqual(versions(yield* Fiber.join(reader)), [1, 2, 3])
        const before = readSizes.length
        yield* pass("20 seconds")
        assert.strictEqual(readSizes.length, before)
      })
  )

  it.effect("readers at the same version of one order share a read", () =>
    Effect.gen(function* () {
      const { readSizes, read, submit } = yield* watching
      const [id] = yield* submit(1)
      assert(id !== undefined)
      yield* Effect.forEach(Array.from({ length: 50 }), () => read(id))
      yield* pass("2 seconds")
      assert.isAtMost(Math.max(...readSizes), 2)
    })
  )

  it.effect("a slow reader causes no reads, and gets each event once when it continues", () =>
    Effect.gen(function* () {
      const { readSizes, claim, settle, submit, watch } = yield* watching
      const [id] = yield* submit(1)
      assert(id !== undefined)
      const stream = yield* watch(id)
      for (let n = 0; n < 400; n++) yield* settle(yield* claim, later)
      yield* pass("1 second")
      const before = readSizes.length
      yield* pass("20 seconds")
      assert.strictEqual(readSizes.length, before)
      const reader = yield* Effect.forkChild(Stream.runCollect(stream))
      yield* settle(yield* claim, completed)
      yield* pass("1 second")
      const expected = Array.from({ length: 803 }, (_, n) => n + 1)
      assert.deepStrictEqual(versions(yield* Fiber.join(reader)), expected)
    })
  )

  it.effect("a stream whose last event read is final continues if there are more, and ends otherwise", () =>
    Effect.gen(function* () {
      const { claim, read, settle, stores, submit } = yield* watching
      const [id] = yield* submit(1)
      assert(id !== undefined)
      // A read returns at most 100 events of an order: here the last of them is `failed`.
      for (let n = 0; n < 50; n++) yield* settle(yield* claim, later)
      yield* stores.work.settle(
        (yield* claim).map((order) => ({
          order,
          outcome: { event: "failed", failure: { reason: "x", reasonCode: "PERMANENT" } }
        }))
      )
      const failedAt = (yield* stores.reads.find(id)).version
      const exact = yield* read(id, failedAt - 100)
      yield* pass("1 second")
      assert.strictEqual((yield* Fiber.join(exact)).length, 100)
      yield* stores.deadLetters.reprocess(id)
      const past = yield* read(id, failedAt - 100)
      yield* pass("1 second")
      yield* settle(yield* claim, completed)
      yield* pass("1 second")
      assert.deepStrictEqual(versions(yield* Fiber.join(past)).at(-1), failedAt + 3)
    })
  )

  it.effect("continues after any error or defect of the store", () =>
    Effect.gen(function* () {
      const { setTrouble, claim, read, settle, submit } = yield* watching
      const [id] = yield* submit(1)
      assert(id !== undefined)
      const reader = yield* read(id)
      yield* pass("1 second")
      yield* setTrouble(Effect.fail(new OrdersUnavailable({})))
      yield* pass("10 seconds")
      yield* setTrouble(Effect.die("a bug"))
      yield* settle(yield* claim, completed)
      yield* pass("10 seconds")
      yield* setTrouble(Effect.void)
      yield* pass("6 seconds")
      assert.deepStrictEqual(versions(yield* Fiber.join(reader)), [1, 2, 3])
    })
  )

  it.effect("the number of watched orders is limited, and closing a stream frees its place", () =>
    Effect.gen(function* () {
      const { submit, watch } = yield* watching
      const [id = "" as OrderId] = yield* submit(1)
      const scope = yield* Scope.make()
      yield* Effect.asVoid(Scope.provide(watch(id), scope))
      yield* Effect.asVoid(watch(id))
      assert.strictEqual((yield* Effect.flip(watch(id)))._tag, "TooManyWatched")
      // A watch of an unknown order holds its place only until it fails.
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Effect.flip(Effect.scoped(watch(newOrder().id))))._tag, "OrderNotFound")
      yield* Effect.asVoid(watch(id))
    }).pipe(Effect.provideService(MaxWatched, 2))
  )

  it.effect("the stream of a deleted order ends, even if its reader has not read all events", () =>
    Effect.gen(function* () {
      const { setTrouble, claim, read, settle, stores, submit } = yield* watching
      const [id] = yield* submit(1)
      assert(id !== undefined)
      const reader = yield* read(id)
      // A reader without any event yet, and one whose client names a version that does not exist.
      yield* pass("2 seconds")
      yield* setTrouble(Effect.fail(new OrdersUnavailable()))
      const later = [yield* read(id), yield* read(id, 900)]
      yield* pass("1 second")
      yield* settle(yield* claim, completed)
      yield* pass("1 second")
      assert.strictEqual(yield* stores.upkeep.deleteOldOrders("PROCESSED", Duration.zero, 10), 1)
      yield* setTrouble(Effect.void)
      yield* pass("20 seconds")
      assert.deepStrictEqual(versions(yield* Fiber.join(reader)), [1])
      for (const one of later) assert.deepStrictEqual(versions(yield* Fiber.join(one)), [])
    })
  )

  it.effect("a waiting order is watched until it is final, also from a version that does not exist yet", () =>
    Effect.gen(function* () {
      const { claim, read, settle, submit } = yield* watching
      const [id] = yield* submit(1)
      assert(id !== undefined)
      const readers = [yield* read(id), yield* read(id, 1), yield* read(id, 2)]
      yield* pass("1 minute")
      for (const reader of readers) assert.isUndefined(reader.pollUnsafe())
      yield* settle(yield* claim, completed)
      yield* pass("1 second")
      const had = yield* Effect.forEach(readers, Fiber.join)
      assert.deepStrictEqual(had.map(versions), [[1, 2, 3], [2, 3], [3]])
    })
  )
})
