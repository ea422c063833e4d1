import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { makeBatchQueue } from "../../src/concurrency/BatchQueue.ts"

interface Entry {
  readonly name: string
  readonly size: number
}

const queueOf = (capacity: number) => makeBatchQueue<Entry>(capacity, Duration.seconds(5))
const namesOf = (entries: ReadonlyArray<Entry>) => entries.map(({ name }) => name)

describe("BatchQueue", () => {
  it.effect("a batch ends with the entry that reaches its size, and leaves the rest", () =>
    Effect.gen(function* () {
      const queue = queueOf(100)
      for (const entry of [
        { name: "a", size: 1 },
        { name: "b", size: 9 },
        { name: "c", size: 1 }
      ])
        assert.isTrue(queue.offerUnsafe(entry))
      assert.deepStrictEqual(namesOf(yield* queue.take(5)), ["a", "b"])
      assert.deepStrictEqual(namesOf(yield* queue.take(5)), ["c"])
    })
  )

  it.effect("an entry that waits for capacity is not overtaken by a smaller one", () =>
    Effect.gen(function* () {
      const queue = queueOf(10)
      assert.isTrue(queue.offerUnsafe({ name: "first", size: 8 }))
      const large = yield* Effect.forkChild(queue.offer({ name: "large", size: 5 }), {
        startImmediately: true
      })
      assert.isFalse(queue.offerUnsafe({ name: "small", size: 1 }))
      const small = yield* Effect.forkChild(queue.offer({ name: "small", size: 1 }), {
        startImmediately: true
      })
      assert.deepStrictEqual(namesOf(yield* queue.take(1)), ["first"])
      assert.deepStrictEqual([yield* Fiber.join(large), yield* Fiber.join(small)], [true, true])
      assert.deepStrictEqual(namesOf(yield* queue.take(10)), ["large", "small"])
    })
  )

  it.effect("an entry larger than the capacity is accepted only by an empty queue", () =>
    Effect.gen(function* () {
      const queue = queueOf(10)
      assert.isTrue(queue.offerUnsafe({ name: "huge", size: 50 }))
      assert.isFalse(queue.offerUnsafe({ name: "small", size: 1 }))
      assert.deepStrictEqual(namesOf(yield* queue.take(1)), ["huge"])
    })
  )

  it.effect(
    "an offer is refused after its timeout, or at once when as much as the capacity waits already",
    () =>
      Effect.gen(function* () {
        const queue = queueOf(10)
        queue.offerUnsafe({ name: "first", size: 10 })
        const waiting = yield* Effect.forkChild(queue.offer({ name: "late", size: 10 }), {
          startImmediately: true
        })
        assert.isFalse(yield* queue.offer({ name: "too many", size: 1 }))
        assert.strictEqual(queue.size(), 20)
        yield* TestClock.adjust("5 seconds")
        assert.isFalse(yield* Fiber.join(waiting))
        assert.strictEqual(queue.size(), 10)
        assert.deepStrictEqual(namesOf(yield* queue.take(100)), ["first"])
      })
  )

  it.effect("a removed entry frees its capacity for a waiting one", () =>
    Effect.gen(function* () {
      const queue = queueOf(10)
      const [first, second] = [
        { name: "first", size: 4 },
        { name: "second", size: 6 }
      ]
      assert.deepStrictEqual([queue.offerUnsafe(first), queue.offerUnsafe(second)], [true, true])
      const waiting = yield* Effect.forkChild(queue.offer({ name: "waiting", size: 4 }), {
        startImmediately: true
      })
      queue.remove(first)
      assert.isTrue(yield* Fiber.join(waiting))
      assert.deepStrictEqual(namesOf(yield* queue.take(10)), ["second", "waiting"])
      queue.remove(second)
      assert.strictEqual(queue.size(), 0, "what was taken cannot be removed")
    })
  )

  it.effect("entries that wait behind one that times out are queued as soon as they fit", () =>
    Effect.gen(function* () {
      const queue = queueOf(10)
      queue.offerUnsafe({ name: "first", size: 8 })
      const large = yield* Effect.forkChild(queue.offer({ name: "large", size: 5 }), {
        startImmediately: true
      })
      const small = yield* Effect.forkChild(queue.offer({ name: "small", size: 1 }), {
        startImmediately: true
      })
      yield* Fiber.interrupt(large)
      assert.isTrue(yield* Fiber.join(small))
    })
  )

  it.effect("close returns what is queued and what waits, in order", () =>
    Effect.gen(function* () {
      const queue = queueOf(10)
      queue.offerUnsafe({ name: "queued", size: 10 })
      yield* Effect.forkChild(queue.offer({ name: "waiting", size: 1 }), { startImmediately: true })
      assert.deepStrictEqual(namesOf(queue.close()), ["queued", "waiting"])
      assert.strictEqual(queue.size(), 0)
    })
  )
})
