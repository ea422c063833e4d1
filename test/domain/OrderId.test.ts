import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { OrderId } from "../../src/domain/OrderId.ts"

const decode = Schema.decodeUnknownResult(OrderId)

describe("OrderId", () => {
  it("is accepted in either case and stored in lower case", () => {
    const id = "019ac7b3-5e2f-7abc-8def-0123456789ab"
    for (const text of [id, id.toUpperCase(), "019AC7b3-5E2F-7abC-8dEf-0123456789aB"])
      assert.deepStrictEqual(decode(text), Result.succeed(OrderId.make(id)))
  })

  it.each([
    "",
    "019ac7b3",
    "019ac7b35e2f7abc8def0123456789ab",
    "{019ac7b3-5e2f-7abc-8def-0123456789ab}",
    "urn:uuid:019ac7b3-5e2f-7abc-8def-0123456789ab",
    "019ac7b3-5e2f-7abc-8def-0123456789ag",
    "019ac7b3-5e2f-7abc-8def-0123456789ab\n",
    "019ac7b3-5e2f-7abc-8def-0123456789a\u212A"
  ])("is refused if it is not the 36 characters of a UUID: %j", (text) => {
    assert.isTrue(Result.isFailure(decode(text)))
  })
})
