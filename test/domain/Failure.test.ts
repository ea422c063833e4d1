import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { cleanReason, failure, maxReasonLength } from "../../src/domain/Failure.ts"

/** Plain characters mixed with those that are hard to store, of any length up to beyond the limit. */
const piece = Schema.Union([
  Schema.Literals(["\u0000", "\uD800", "\uDC00", "\uD83D\uDE00", "\uFFFD", "e\u0301", "a", "\n", "\\u0000"]),
  Schema.String
])
const AnyText = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.schema(Schema.Array(piece)),
    Arbitrary.schema(Schema.Literals([1, 2, 100, 1000])),
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1990, maximum: 2005 })))
  ]),
  ([pieces, times, length]) =>
    times === 1 ? pieces.join("") : pieces.join("").repeat(times).slice(0, length)
)

describe("Failure", () => {
  it("a plain reason is kept as it is", () => {
    assert.strictEqual(
      cleanReason("The card was declined: 51 \uD83D\uDCB3"),
      "The card was declined: 51 \uD83D\uDCB3"
    )
    assert.strictEqual(cleanReason(""), "")
  })

  it("U+0000 and lone surrogates are each replaced by U+FFFD", () => {
    assert.strictEqual(cleanReason("a\u0000b\uD800c\uDC00d"), "a\uFFFDb\uFFFDc\uFFFDd")
  })

  it("a long reason is cut at 2,000 characters, which may be two UTF-16 code units each", () => {
    assert.strictEqual(cleanReason("x".repeat(2001)), "x".repeat(2000))
    assert.strictEqual(cleanReason("x".repeat(1999) + "\uD83D\uDE00y"), "x".repeat(1999) + "\uD83D\uDE00")
    assert.strictEqual(cleanReason("\uD83D\uDE00".repeat(2001)), "\uD83D\uDE00".repeat(2000))
    assert.strictEqual(cleanReason("x" + "\uD83D\uDE00".repeat(2001)), "x" + "\uD83D\uDE00".repeat(1999))
  })

  it("a failure is made with its reason cleaned", () => {
    assert.deepStrictEqual(failure("DEFECT", "a\u0000"), { reasonCode: "DEFECT", reason: "a\uFFFD" })
  })

  it.prop(
    "every text becomes a reason that PostgreSQL and JSON can hold, of at most 2,000 characters",
    { text: AnyText },
    ({ text }) => {
      const reason = cleanReason(text)
      assert(!reason.includes("\u0000"), "it holds U+0000")
      assert(reason.isWellFormed(), "it holds a lone surrogate")
      assert.strictEqual([...reason].length, Math.min([...text].length, maxReasonLength))
      return true
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "cleaning a reason again changes nothing",
    { text: AnyText },
    ({ text }) => {
      assert.strictEqual(cleanReason(cleanReason(text)), cleanReason(text))
      return true
    },
    { arbitrary: { runs: 500 } }
  )
})
