import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { Replayable } from "../src/application/intake/Idempotency.ts"
import { OrderPlatform } from "../src/application/OrderPlatform.ts"
import { allStores } from "../src/testing/AllStores.ts"
import { anyJsonObject } from "../src/domain/OrderPayload.ts"
import * as Memory from "../src/infrastructure/memory/Memory.ts"
import * as MemoryWakeUp from "../src/infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import * as TestPostgres from "./TestPostgres.ts"
import { isWholeForm } from "./WholeForm.ts"

// Random interleavings of calls with keys, compared with a simple model: a key holds one request and its answer for a
// day.

const [seedsInMemory, seedsInPostgres] = isWholeForm ? [40, 8] : [10, 3]

/** Random numbers from a seed. Source: Numerical Recipes, a linear congruential generator. */
const randomOf = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

interface Call {
  readonly name: string
  readonly body: number
  readonly answer: string
  readonly replayed: boolean
}

const history = Effect.fnUntraced(function* <E, R>(
  seed: number,
  setStoreClock: (time: DateTime.Utc) => Effect.Effect<unknown, E, R>
) {
  const platform = yield* OrderPlatform.service(anyJsonObject)
  const stores = yield* allStores
  const random = randomOf(seed)
  /** An entry of the model: the request, its answer, and when it expires. */
  const kept = new Map<string, { readonly body: number; readonly answer: string; readonly until: number }>()
  let stored = 0

  for (let round = 0; round < 6; round++) {
    const now = DateTime.toEpochMillis(yield* DateTime.now)
    // The calls of a round run concurrently, some of them as bulks.
    const calls = Array.from({ length: 1 + random(30) }, () => ({
      key: `key ${seed} ${random(6)}`,
      scope: `caller ${random(2)}`,
      body: random(4) === 0 ? random(3) : 0,
      many: random(5) === 0,
      unkeyed: random(6) === 0
    }))
    const results = yield* Effect.forEach(
      calls,
      ({
        body,
        key,
        many,
        scope,
        unkeyed
      }): Effect.Effect<
        Exit.Exit<{ readonly answer: string; readonly replayed: boolean } | null, unknown>
      > => {
        const payload = { payload: { body } }
        const idempotency = { key, scope: `${scope} ${many ? "many" : "one"}` }
        if (unkeyed) return Effect.exit(Effect.as(platform.submit(payload), null))
        const call: Effect.Effect<Replayable<unknown>, unknown> = many
          ? platform.submitMany([payload, payload], { idempotency })
          : platform.submit(payload, { idempotency })
        return Effect.exit(
          Effect.map(call, ({ answer, replayed }) => ({ answer: JSON.stringify(answer), replayed }))
        )
      },
      { concurrency: "unbounded" }
    )
    const done: Array<Call> = []
    const refused: Array<{ readonly name: string; readonly body: number }> = []
    for (const [n, exit] of results.entries()) {
      const call = calls[n]
      assert(call !== undefined)
      const name = `${call.scope} ${call.many ? "many" : "one"} ${call.key}`
      if (Exit.isFailure(exit)) refused.push({ name, body: call.body })
      else if (exit.value === null) stored++
      else {
        const { answer, replayed } = exit.value
        done.push({ name, body: call.body, answer, replayed })
      }
    }
    for (const call of done) {
      const before = kept.get(call.name)
      const valid = before !== undefined && before.until > now
      if (call.replayed) continue
      // Exactly one call per key is the first, and only if no answer is kept.
      assert.isFalse(valid, `${call.name} was taken twice`)
      kept.set(call.name, { body: call.body, answer: call.answer, until: now + 86_400_000 })
      stored += call.name.includes(" many ") ? 2 : 1
    }
    for (const { answer, body, name } of done) {
      assert.deepStrictEqual({ answer, body }, { answer: kept.get(name)?.answer, body: kept.get(name)?.body })
    }
    for (const { body, name } of refused) {
      assert.isTrue(kept.has(name))
      assert.notStrictEqual(kept.get(name)?.body, body, `${name} was refused its own request`)
    }
    if (random(3) === 0) yield* stores.upkeep.deleteExpiredKeys(1 + random(5))
    yield* TestClock.adjust(Duration.hours([0, 1, 23, 25][random(4)] ?? 0))
    yield* setStoreClock(yield* DateTime.now)
  }
  return stored
})

const countOf = Effect.gen(function* () {
  const { byStatus } = yield* (yield* allStores).reads.stats
  return byStatus.PENDING
})

describe("random interleavings of calls with keys", () => {
  it.effect("in memory: one order and one answer per key and day, for any concurrent calls", () =>
    Effect.gen(function* () {
      let stored = 0
      for (let seed = 1; seed <= seedsInMemory; seed++) stored += yield* history(seed, () => Effect.void)
      assert.strictEqual(yield* countOf, stored)
    }).pipe(Effect.provide(OrderPlatform.layer(anyJsonObject).pipe(Layer.provideMerge(Memory.layer))))
  )

  it.effect("in PostgreSQL: the same", () =>
    Effect.gen(function* () {
      let stored = 0
      for (let seed = 1; seed <= seedsInPostgres; seed++)
        stored += yield* history(seed, TestPostgres.setDatabaseClock)
      assert.strictEqual(yield* countOf, stored)
    }).pipe(
      Effect.provide(
        OrderPlatform.layer(anyJsonObject).pipe(
          Layer.provideMerge(Layer.suspend(() => Layer.mergeAll(TestPostgres.layer, MemoryWakeUp.layer)))
        )
      )
    )
  )
})
