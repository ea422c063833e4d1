import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import { layerPooledRandom } from "../../../src/application/intake/PooledRandom.ts"

describe("PooledRandom", () => {
  it.effect("never returns the same bytes twice, over many pools and for requests larger than a pool", () =>
    Effect.gen(function* () {
      const random = yield* SecureRandom.SecureRandom
      const seen = new Set<string>()
      for (let n = 0; n < 2000; n++) {
        const bytes = yield* random.randomBytes(16)
        assert.strictEqual(bytes.length, 16)
        seen.add(Buffer.from(bytes).toString("hex"))
      }
      assert.strictEqual(seen.size, 2000)
      const many = yield* random.randomBytes(10_000)
      assert.strictEqual(many.length, 10_000)
      assert.isAbove(new Set(many).size, 200)
    }).pipe(Effect.provide(layerPooledRandom))
  )

  it.effect("later calls do not change bytes that were returned before", () =>
    Effect.gen(function* () {
      const random = yield* SecureRandom.SecureRandom
      const first = yield* random.randomBytes(16)
      const copy = first.slice()
      for (let n = 0; n < 1000; n++) yield* random.randomBytes(16)
      assert.deepStrictEqual(first, copy)
    }).pipe(Effect.provide(layerPooledRandom))
  )
})
