import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as OrderPayload from "../../src/domain/OrderPayload.ts"
import { OrderType } from "../../src/domain/OrderType.ts"
import { finder, OrderTypes } from "../../src/domain/OrderTypes.ts"

const Empty = Schema.Struct({})
const type = <N extends string>(name: N) => OrderType.make(name, Empty)

describe("OrderType", () => {
  it("a name of 1 to 64 of the characters a-z 0-9 . _ - is accepted, any other refused", () => {
    for (const name of ["a", "invoice.v2_big-1", "0", "a".repeat(64)])
      assert.strictEqual(type(name).name, name)
    for (const name of ["", "Invoice", "in voice", "in/voice", "é", "a\n", "a".repeat(65)])
      assert.throws(
        () => type(name),
        `the name ${JSON.stringify(name)}: a name has 1 to 64 of the characters a-z 0-9 . _ -`
      )
  })

  it("a concurrency that would let no order start is refused", () => {
    for (const concurrency of [0, -1, 1.5, Number.NaN])
      assert.throws(() => OrderType.make("invoice", Empty, { concurrency }), `not ${concurrency}`)
  })

  it("is a set of one type", () => {
    const invoice = type("invoice")
    assert.deepStrictEqual([invoice.names, invoice.nameIfOmitted], [["invoice"], "invoice"])
    assert.strictEqual(invoice.members[0], invoice)
    assert.strictEqual(OrderTypes.make(invoice), invoice)
    assert.notStrictEqual(type("invoice").key, invoice.key)
  })
})

describe("OrderTypes", () => {
  const [a, b, c] = [type("a"), type("b"), type("c")]

  it("refuses two types with the same name", () => {
    assert.throws(() => OrderTypes.make(a, b, type("a")), 'Two order types of a set have the name "a".')
  })

  it("refuses a type for orders of every name beside others", () => {
    assert.throws(() => OrderTypes.make(a, OrderPayload.anyJsonObject), "cannot be in a set with other types")
  })

  it("the same types have the same service keys, in whatever sequence they are given", () => {
    assert.strictEqual(OrderTypes.make(a, b).key, OrderTypes.make(b, a).key)
    assert.notStrictEqual(OrderTypes.make(a, b).key, OrderTypes.make(a, c).key)
  })

  it("only the type default of a set may be omitted", () => {
    assert.isNull(OrderTypes.make(a, b).nameIfOmitted)
    assert.strictEqual(OrderTypes.make(a, OrderPayload.make(Empty)).nameIfOmitted, "default")
  })

  it("finds a type by its name, and any name where one type stands for all", () => {
    const find = finder(OrderTypes.make(a, b), (found) => found)
    assert.deepStrictEqual([find("b"), find("c")], [b, undefined])
    assert.isUndefined(finder(a, (found) => found)("b"))
    const any = finder(OrderPayload.anyJsonObject, (found) => found)
    assert.strictEqual(any("whatever"), OrderPayload.anyJsonObject)
  })
})
