import { assert, describe, it } from "@effect/vitest"
import { Result, Schema, SchemaTransformation } from "effect"
import * as OrderPayload from "../../src/domain/OrderPayload.ts"

const Coffee = Schema.Struct({ drink: Schema.String, cups: Schema.Int })
const CoffeeV1 = Schema.Struct({ drink: Schema.String }).pipe(
  Schema.decodeTo(
    Schema.toType(Coffee),
    SchemaTransformation.transform({
      decode: ({ drink }) => ({ drink, cups: 1 }),
      encode: ({ drink }) => ({ drink })
    })
  )
)

describe("OrderPayload", () => {
  it("reads each version by its own schema", () => {
    const { decode } = OrderPayload.make(Coffee, { version: 2, previous: { 1: CoffeeV1 } })
    assert.deepStrictEqual(decode({ drink: "latte" }, 1), Result.succeed({ drink: "latte", cups: 1 }))
    assert.deepStrictEqual(
      decode({ drink: "latte", cups: 2 }, 2),
      Result.succeed({ drink: "latte", cups: 2 })
    )
  })

  it("refuses a version without a schema, even if the current schema would fit", () => {
    const { decode } = OrderPayload.make(Coffee, { version: 3, previous: { 1: CoffeeV1 } })
    const stored = { drink: "latte", cups: 2 }
    for (const version of [2, 4])
      assert.deepStrictEqual(
        decode(stored, version),
        Result.fail(`The payload was stored as version ${version}; this app reads 1, 3.`)
      )
  })

  it("names the path where the stored payload does not fit", () => {
    const decoded = OrderPayload.make(Coffee).decode({ drink: "latte", cups: "two" }, 1)
    assert(Result.isFailure(decoded))
    assert.match(decoded.failure, /^The stored payload does not fit the schema: .*cups/s)
  })

  it("gives a processor its own copy, which it may change", () => {
    for (const { decode } of [OrderPayload.anyJsonObject, OrderPayload.make(Schema.JsonObject)]) {
      const stored = { drink: "latte" }
      const decoded = decode(stored, 1)
      assert(Result.isSuccess(decoded))
      delete (decoded.success as Record<string, unknown>)["drink"]
      assert.deepStrictEqual(stored, { drink: "latte" })
    }
  })

  it("has its own service key, also when two payloads share their name and type", () => {
    const keys = [OrderPayload.make(Coffee), OrderPayload.make(Coffee)].map(({ key }) => key)
    assert.notStrictEqual(keys[0], keys[1])
    assert.isTrue(OrderPayload.make(Coffee, { name: "coffee" }).key.startsWith("coffee#"))
  })
})
