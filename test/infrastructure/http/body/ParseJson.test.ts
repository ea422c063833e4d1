import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { jsonSyntaxError, maxSearched } from "../../../../src/infrastructure/http/body/JsonSyntax.ts"
import { inexactNumber, parseJson } from "../../../../src/infrastructure/http/body/ParseJson.ts"
import { chanceOf } from "../../../fuzz/Chance.ts"

const parse = (text: string) => parseJson(new TextEncoder().encode(text))
const messageOf = (bytes: Uint8Array) => Result.getOrThrow(Result.flip(parseJson(bytes)))
const isExact = (number: string) => {
  const value = Result.getOrThrow(parse(`{"a": [${number}]}`)) as { readonly a: ReadonlyArray<unknown> }
  return inexactNumber(String(value.a[0])) === undefined
}

/** A number as an exact fraction of integers, for comparison. */
const exactly = (literal: string) => {
  const [, sign, whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(literal) ?? []
  return {
    digits: BigInt(`${sign === "-" ? "-" : ""}${whole}${fraction}`),
    exponent: Number(exponent) - fraction.length
  }
}
const isSameNumber = (a: string, b: string) => {
  const [x, y] = [exactly(a), exactly(b)]
  const least = Math.min(x.exponent, y.exponent)
  const scaled = ({ digits, exponent }: typeof x) => digits * 10n ** BigInt(exponent - least)
  return scaled(x) === scaled(y)
}

describe("numbers in a body", () => {
  it.each(
    "0 -0 -0.0 0e-999 0.1 0.10 1.0 1e2 1E2 1e+2 123e-2 12300000000000000e-16 0.30000000000000004 9007199254740991 \
1.0000000000000000000000 123456789012345 0.1234567890123456 12345678.12345678 1e-310 5e-324 2.2250738585072014e-308 \
1.7976931348623157e308 0.00000000000000000001".split(/\s+/)
  )("are accepted if they are stored as the same number: %s", (number) => {
    assert.isTrue(isExact(number))
  })

  it.each(
    "90071992547409.93 -90071992547409.93 1000000000000000.01 0.1000000000000000055511151231257827 0.12345678901234567 \
1e-400 1E-400 -1e-0400 4.9e-324 1.7976931348623158e308 9007199254740993 100.000000000000001 0.3000000000000000444".split(
      /\s+/
    )
  )("are reported if they would be stored as another number: %s", (number) => {
    assert.isFalse(isExact(number))
  })

  it("are reported exactly when exact arithmetic says that they would change, at any place", () => {
    const chance = chanceOf(1)
    const digits = (max: number) =>
      Array.from({ length: 1 + chance.below(max) }, () => (chance.percent(30) ? 0 : chance.below(10))).join(
        ""
      )
    let inexact = 0
    for (let n = 0; n < 20_000; n++) {
      const fraction = chance.percent(60) ? `.${digits(20)}` : ""
      const exponent = chance.percent(40)
        ? `${chance.pick(["e", "E-", "e+"])}${chance.below(chance.percent(50) ? 12 : 330)}`
        : ""
      const literal = `${chance.percent(50) ? "-" : ""}${digits(18).replace(/^0+(?=\d)/, "")}${fraction}${exponent}`
      if (!Number.isFinite(Number(literal))) continue
      const text = `${" ".repeat(chance.below(17))}{"a":${" ".repeat(chance.below(2))}${literal}}`
      const { a } = Result.getOrThrow(parse(text)) as { readonly a: unknown }
      const expected = isSameNumber(literal, String(Number(literal)))
      if (!expected) inexact += 1
      assert.strictEqual(inexactNumber(String(a)) === undefined, expected, literal)
    }
    assert.isAbove(inexact, 5_000)
  })

  it("are ignored in strings, and in values that a later duplicate key replaces", () => {
    const text = String.raw`{"a":"\" ,90071992547409.93","b":90071992547409.93,"b":[1,2.50],"c":"\\",",90071992547409.93":0}`
    const expected = { a: '" ,90071992547409.93', b: [1, 2.5], c: "\\", ",90071992547409.93": 0 }
    assert.deepStrictEqual(Result.getOrThrow(parse(text)), expected)
  })

  it("are found next to values nested deeper than the stack allows", () => {
    const text = `[${"[".repeat(500_000)}1e-400${"]".repeat(500_000)},90071992547409.93]`
    const value = Result.getOrThrow(parse(text)) as ReadonlyArray<unknown>
    assert.strictEqual(inexactNumber(String(value[1])), "90071992547409.93")
  })
})

describe("the message for a body that is not JSON", () => {
  it.each([
    ["{", 1, 2, "a key in double quotes or }", "the end"],
    ["[1,]", 1, 4, "a value", "]"],
    ['{"a": 1,}', 1, 9, "a key in double quotes", "}"],
    ['{"a" 1}', 1, 6, "a colon after the key", "1"],
    ["{'a': 1}", 1, 2, "a key in double quotes or }", "'"],
    ['{\r\n  "a": nope}', 2, 8, "a value", "n"],
    ['{"a":1\n"b":2}', 2, 1, "a comma or }", '"'],
    ["[01]", 1, 3, "no digit after a leading 0", "1"],
    ["[1.]", 1, 4, "a digit", "]"],
    ["[-]", 1, 3, "a digit", "]"],
    ['["a\tb"]', 1, 4, "an escape like \\n in place of a control character", "U+0009"],
    ['["\\x41"]', 1, 4, 'one of " \\ / b f n r t u after \\', "x"],
    ['["\\u12g4"]', 1, 5, "four hexadecimal digits after \\u", "1"],
    ['["a', 1, 4, 'the closing " of a string', "the end"],
    ["{}{}", 1, 3, "nothing more after the value", "{"],
    ['{"😀": 😀}', 1, 7, "a value", "U+1F600"],
    ["\u00a0{}", 1, 1, "a value", "U+00A0"],
    [`${"[".repeat(100_000)}}`, 1, 100_001, "a value or ]", "}"]
  ] as const)(
    "is where, what was expected there and what was found: %j",
    (text, line, column, expected, found) => {
      assert.deepStrictEqual(jsonSyntaxError(text), { line, column, expected, found })
      assert.strictEqual(
        messageOf(Buffer.from(text)),
        `The body is not JSON: at line ${line}, column ${column} expected ${expected}, found ${found}`
      )
    }
  )

  it("has a position for every text that JSON.parse refuses, and none for any other", () => {
    const chance = chanceOf(2)
    const seeds = [
      '{"a":[1,2.5e3,{"b":"x\\n\\u00e9"},null,true,false,-0],"c":{}}',
      '[[],[{}],"",{"a":[ ]}]'
    ] as const
    const letters = Array.from('{}[]",:\\u0123456789.eE+-truefalsn \n\t\r\u0001x')
    for (let n = 0; n < 50_000; n++) {
      let text: string = chance.pick(seeds)
      for (let times = chance.below(3); times >= 0; times--) {
        const at = chance.below(text.length + 1)
        text = `${text.slice(0, at)}${letters[chance.below(letters.length)] ?? ""}${text.slice(at + chance.below(2))}`
      }
      const isJson = Result.isSuccess(Result.try(() => JSON.parse(text) as unknown))
      assert.strictEqual(jsonSyntaxError(text) === undefined, isJson, text)
    }
  })

  it("says of a long body whether the error is in the part that was examined", () => {
    const long = (length: number, end: string) => Buffer.from(`["${"a".repeat(length)}",${end}`)
    assert.match(
      messageOf(long(maxSearched - 100, "x]")),
      /^The body is not JSON: at line 1, column 1048481 /
    )
    for (const length of [maxSearched - 5, maxSearched, 2 * maxSearched])
      assert.strictEqual(
        messageOf(long(length, "tru]")),
        "The body is not JSON; the error is not in its first 1048576 characters"
      )
  })

  it.each([
    [[0x22, 0x61, 0xff, 0x22], "byte 3 does not belong there"],
    [[0xc0, 0x80], "byte 1 does not belong there"],
    [[0x22, 0xe2, 0x82, 0x22], "byte 4 does not belong there"],
    [[0x22, 0xc3], "it ends within a character, after byte 2"]
  ] as const)("names the byte that is not UTF-8: %j", (bytes, where) => {
    assert.strictEqual(messageOf(Uint8Array.from(bytes)), `The body is not UTF-8: ${where}`)
  })
})
