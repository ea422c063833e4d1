import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { groupMessageOf } from "../../src/domain/FailureGroup.ts"

/** Each value appears in reasons in place of another one of the same kind. */
const values = {
  id: ["01a20586-1e1c-764a-aee9-11cfc7017fe9", "FFFFFFFF-eeee-4ddd-accc-bbbbbbbbbbbb", "ord_8Zk29xQ"],
  number: ["0", "42", "-7", "1.5", "1,234.56", "2026-11-22T23:10:05.418Z", "10.0.0.1:5432", "٣"],
  hexadecimal: ["0x1F", "deadbeef", "8c1f9e03a7", "9F86D081884C7D659A2FEAA0C55AD015"],
  quoted: ['""', '"ann"', "'it is Bob's'", "`a b`", '"two\nlines: 7"']
} as const

const Value = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("#"),
    text: Schema.Literals([...values.id, ...values.number, ...values.hexadecimal])
  }),
  Schema.Struct({ kind: Schema.Literal('"…"'), text: Schema.Literals([...values.quoted]) })
])
const Word = Schema.Literals([
  "the",
  "card",
  "can't",
  "declined",
  "façade",
  "of",
  "ответ",
  "decade",
  "(HTTP)",
  "a-b"
])

describe("the message of a failure group", () => {
  it("has no ids, numbers, hexadecimal texts and quoted parts", () => {
    const examples: ReadonlyArray<readonly [string, string]> = [
      ["card declined", "card declined"],
      ["", ""],
      ["order 01a20586-1e1c-764a-aee9-11cfc7017fe9 is broken", "order # is broken"],
      ["order_01a20586-1e1c-764a-aee9-11cfc7017fe9 is broken", "order_# is broken"],
      [
        "HTTP 503 from https://api.bank.example:8443/v2/pay?id=77",
        "HTTP # from https://api.bank.example:#/pay?id=#"
      ],
      ["invoice INV-2024-00017 is not paid", "invoice INV-# is not paid"],
      ["timeout after 1500ms, 3 of 5 tries", "timeout after #, # of # tries"],
      ["balance -12.50 is below +3", "balance # is below #"],
      ['no drink "flat white"; did you mean "latte"?', 'no drink "…"; did you mean "…"?'],
      ["can't find user 'O'Brien' or `x`", 'can\'t find user "…" or "…"'],
      ["the users' and the owners' carts differ", "the users' and the owners' carts differ"],
      ['{"error":"declined","code":51}', '{"…":"…","…":#}'],
      ["  several\n\tlines  ", "several lines"],
      ["checksum deadbeefcafe of a façade from a decade", "checksum # of a façade from a decade"]
    ]
    for (const [reason, message] of examples) assert.strictEqual(groupMessageOf(reason), message)
  })

  it("has at most 200 characters", () => {
    assert.strictEqual(groupMessageOf("x y ".repeat(500)), "x y ".repeat(50))
    assert.strictEqual(groupMessageOf("\u{1F4B3} ".repeat(1000)), "\u{1F4B3} ".repeat(100))
  })

  it.prop(
    "is the same for every reason that differs only in such parts",
    [Arbitrary.array(Arbitrary.schema(Schema.Union([Word, Value])))],
    ([parts]) => {
      const texts = parts.map((part) => (typeof part === "string" ? part : part.text))
      const kinds = parts.map((part) => (typeof part === "string" ? part : part.kind))
      assert.strictEqual(
        groupMessageOf(texts.join(" ; ")),
        Array.from(kinds.join(" ; ")).slice(0, 200).join("")
      )
    }
  )

  it("takes little time for any reason of 2,000 characters", () => {
    const pieces = [
      "a",
      "a_",
      "'",
      "'a ",
      " 'a",
      "'a'b",
      '"',
      '\\"',
      "`",
      "#",
      "-#",
      "a1",
      "deadbeef",
      "0-",
      "🂡",
      " "
    ]
    for (const piece of pieces) {
      const reason = piece.repeat(2000).slice(0, 2000)
      const start = performance.now()
      for (let n = 0; n < 100; n++) groupMessageOf(reason)
      assert.isBelow((performance.now() - start) / 100, 5, JSON.stringify(piece))
    }
  })
})
