import { assert, describe, it } from "@effect/vitest"
import { makeRate, secondsToDrain } from "../../src/concurrency/Rate.ts"

describe("Rate", () => {
  it("is the average of the last ten seconds", () => {
    const rate = makeRate()
    rate.record(30, 500)
    rate.record(20, 9_999)
    assert.strictEqual(rate.perSecond(9_999), 5)
    assert.strictEqual(rate.perSecond(10_000), 2)
    rate.record(10, 10_000)
    assert.strictEqual(rate.perSecond(10_000), 3)
    assert.strictEqual(rate.perSecond(30_000), 0)
  })

  it("gives a wait between 1 and 3600 seconds, and 60 while it is zero", () => {
    assert.strictEqual(secondsToDrain(100, 10), 10)
    assert.strictEqual(secondsToDrain(1, 1000), 1)
    assert.strictEqual(secondsToDrain(1_000_000, 1), 3600)
    assert.strictEqual(secondsToDrain(10, 0), 60)
  })
})
