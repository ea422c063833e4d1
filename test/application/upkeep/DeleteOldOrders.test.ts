import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { DeleteOldOrders, Retention } from "../../../src/application/upkeep/DeleteOldOrders.ts"
import { OrdersUnavailable } from "../../../src/domain/OrderErrors.ts"
import { UpkeepStore } from "../../../src/application/ports/UpkeepStore.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"

interface Answer {
  readonly deleted: number
  readonly tookMs?: number
}

/** Runs retention on a store that answers by the script and then finds nothing; returns each call with its time. */
const asked = Effect.fnUntraced(function* (
  retention: Context.Service.Shape<typeof Retention>,
  script: Array<Answer | "away"> = []
) {
  const asked: Array<readonly [at: number, status: string, days: number, max: number]> = []
  const memory = yield* Layer.build(Memory.layerStores)
  const store = UpkeepStore.of({
    ...Context.get(memory, UpkeepStore),
    deleteOldOrders: Effect.fnUntraced(function* (status, age, max) {
      asked.push([yield* Clock.currentTimeMillis, status, Duration.toDays(age), max])
      const next = script.shift() ?? { deleted: 0 }
      if (next === "away") return yield* new OrdersUnavailable()
      yield* Effect.sleep(next.tookMs ?? 0)
      return next.deleted
    })
  })
  yield* Layer.build(DeleteOldOrders.layer).pipe(
    Effect.provideService(UpkeepStore, store),
    Effect.provideService(Retention, retention)
  )
  yield* TestClock.adjust(0)
  return asked
})

const times = (asked: ReadonlyArray<readonly [number, ...ReadonlyArray<unknown>]>) => asked.map(([at]) => at)

describe("retention", () => {
  it.effect("deletes nothing when all orders are kept forever", () =>
    Effect.gen(function* () {
      const requests = yield* asked({ processed: null, failed: null })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(requests, [])
    })
  )

  it.effect("deletes each status by its own age, in bounded batches", () =>
    Effect.gen(function* () {
      const requests = yield* asked({ processed: Duration.days(7), failed: Duration.days(90) })
      assert.deepStrictEqual(requests, [
        [0, "PROCESSED", 7, 500],
        [0, "FAILED", 90, 500]
      ])
    })
  )

  it.effect("pauses between batches, after a slow one for as long as it took", () =>
    Effect.gen(function* () {
      const requests = yield* asked({ processed: Duration.days(7), failed: null }, [
        { deleted: 500 },
        { deleted: 500, tookMs: 200 },
        { deleted: 499 }
      ])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(times(requests), [0, 50, 50 + 200 + 200])
    })
  )

  it.effect("polls about once a minute, also after an error of the store", () =>
    Effect.gen(function* () {
      const requests = yield* asked({ processed: Duration.days(7), failed: null }, [{ deleted: 3 }, "away"])
      yield* TestClock.adjust("10 minutes")
      const pauses = times(requests)
        .slice(1)
        .map((at, n) => at - (times(requests)[n] ?? 0))
      assert.isAtLeast(pauses.length, 9)
      assert.isAtLeast(Math.min(...pauses), 48_000)
      assert.isAtMost(Math.max(...pauses), 60_000)
    })
  )
})
