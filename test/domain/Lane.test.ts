import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import { LimitsToSet } from "../../src/domain/Groups.ts"
import { GroupName, OrderingKey, TypeName } from "../../src/domain/Lane.ts"

const accepts = <A>(schema: Schema.Decoder<A>, value: unknown) =>
  Exit.isSuccess(Schema.decodeUnknownExit(schema, { onExcessProperty: "error" })(value))

describe("the name of a type", () => {
  it("has 1 to 64 of the characters a-z 0-9 . _ -", () => {
    for (const name of ["a", "default", "invoice.v2", "_-.", "0", "x".repeat(64)])
      assert.isTrue(accepts(TypeName, name), name)
    for (const name of ["", "A", "é", "a b", "a/b", "a\n", "x".repeat(65), 1, null])
      assert.isFalse(accepts(TypeName, name), String(name))
  })
})

describe.each([
  ["an ordering key", OrderingKey],
  ["the name of a group", GroupName]
])("%s", (_, schema) => {
  it("has 1 to 200 code points", () => {
    for (const name of ["a", " ", "Ünïcode / ?#%", "😀".repeat(200)])
      assert.isTrue(accepts(schema, name), name)
    for (const name of ["", "😀".repeat(201), "x".repeat(201), 1, null])
      assert.isFalse(accepts(schema, name), String(name))
  })

  it("has no control characters and no lone surrogates", () => {
    for (const code of [0, 9, 10, 0x1f, 0x7f, 0x80, 0x9f, 0xd800, 0xdfff])
      assert.isFalse(accepts(schema, `a${String.fromCharCode(code)}b`), code.toString(16))
    for (const code of [0x20, 0x7e, 0xa0, 0xfffd])
      assert.isTrue(accepts(schema, `a${String.fromCharCode(code)}b`), code.toString(16))
  })
})

describe("the limits of a group", () => {
  it("are in their ranges, and at least one is given", () => {
    for (const limits of [
      { maxRunning: 1 },
      { maxRunning: 1_000_000, ratePerSecond: null },
      { ratePerSecond: 0.001 },
      { ratePerSecond: 100_000 },
      { maxPending: 1 },
      { maxPending: 1_000_000_000, maxRunning: null }
    ])
      assert.isTrue(accepts(LimitsToSet, limits), JSON.stringify(limits))
    for (const limits of [
      {},
      { maxRunning: null, ratePerSecond: null, maxPending: null },
      { maxRunning: 0 },
      { maxRunning: 1.5 },
      { maxRunning: 1_000_001 },
      { maxRunning: "5" },
      { ratePerSecond: 0 },
      { ratePerSecond: 0.0009 },
      { ratePerSecond: 100_001 },
      { ratePerSecond: Infinity },
      { ratePerSecond: NaN },
      { maxPending: -1 },
      { maxPending: 1_000_000_001 },
      { maxRunning: 1, group: "acme" }
    ])
      assert.isFalse(accepts(LimitsToSet, limits), JSON.stringify(limits))
  })
})
