import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { OpenApi } from "effect/http-api"
import { makeOrderApi } from "../../../../src/contract/OrderApi.ts"
import { anyJsonObject } from "../../../../src/domain/OrderPayload.ts"
import { type Answer, serveFake } from "../TestServer.ts"

interface Problem {
  readonly errors: ReadonlyArray<{
    readonly in: string
    readonly path: ReadonlyArray<string | number>
    readonly message: string
  }>
}

const errorsOf = ({ json, status }: Answer) => {
  assert.strictEqual(status, 400)
  return (json as Problem).errors
}
const post = (body: string) => ({ method: "POST", headers: { "content-type": "application/json" }, body })

/** A value of every JSON type. */
const values = ["null", "true", "7.5", "-1", '"x"', "[]", '[{"a":1}]', "{}", '{"a":{}}'] as const

const fields = {
  payload: ["{}", '{"a":{}}'],
  type: ['"x"'],
  orderingKey: ['"x"'],
  group: ['"x"'],
  priority: [],
  notBefore: [],
  maxRetries: [],
  metadata: ["{}"],
  "metadata.key": ['"x"']
} as const satisfies Record<string, ReadonlyArray<(typeof values)[number]>>

/** Names of schemas, Effect's and ours, and other words that require knowledge of the code. */
const { components } = OpenApi.fromApi(makeOrderApi(anyJsonObject)) as {
  readonly components: { readonly schemas: object }
}
const names = [
  ...Object.keys(components.schemas).filter(
    (name) => !["Order", "Group", "Pause", "Stats", "Timeline", "Workers"].includes(name)
  ),
  ..."Payload JsonObject OrderId OrderStatus DateTime Utc Record Struct Codec Schema Literal Finite Int filter RegExp undefined".split(
    " "
  )
]
const isPlain = (message: string) => {
  for (const name of names)
    assert.notMatch(message, new RegExp(String.raw`\b${name}\b`), `${message} names ${name}`)
  assert.notMatch(message, /[<>^$]|\b(?:NaN|object Object)\b/)
}

describe("the message for a wrong value", () => {
  it.live.each(Object.entries(fields))(
    "has the path, what was expected and the JSON type received: %s",
    ([field, right]) =>
      Effect.gen(function* () {
        const { call } = yield* serveFake()
        const path = field.split(".")
        for (const value of values.filter((each) => !(right as ReadonlyArray<string>).includes(each))) {
          const inside = path.reduceRight((inner, key) => `{"${key}":${inner}}`, value)
          for (const [url, body, before] of [
            ["/orders", inside, []],
            ["/orders/bulk", `{"orders":[{},${inside}]}`, ["orders", 1]]
          ] as const) {
            const answer = yield* call(url, post(body))
            const errors =
              url === "/orders"
                ? errorsOf(answer)
                : (answer.json as { readonly results: ReadonlyArray<{ readonly problem: Problem }> })
                    .results[1]!.problem.errors
            assert.isAbove(errors.length, 0)
            for (const error of errors) {
              const expectedPath = [...before, ...path]
              assert.deepStrictEqual(error.path.slice(0, expectedPath.length), expectedPath)
              assert.match(error.message, /^Expected (?:a|an|at) |^There is no day /)
              isPlain(error.message)
            }
          }
        }
      })
  )

  it.live.each([
    [`{"payload":[1]}`, ["payload"], "Expected an object, got an array"],
    [`null`, [], "Expected an object, got null"],
    [`{"priority":12}`, ["priority"], "Expected a whole number from 0 to 9, got 12"],
    [`{"priority":"1"}`, ["priority"], "Expected a whole number, got a string"],
    [`{"type":"Invoice"}`, ["type"], "Expected 1 to 64 of the characters a-z 0-9 . _ -"],
    [`{"type":""}`, ["type"], "Expected 1 to 64 of the characters a-z 0-9 . _ -"],
    [`{"type":7}`, ["type"], "Expected a string, got a number"],
    [`{"orderingKey":""}`, ["orderingKey"], "Expected 1 to 200 characters"],
    [`{"orderingKey":"a\\u0007"}`, ["orderingKey"], "Expected no control characters"],
    [`{"orderingKey":null}`, ["orderingKey"], "Expected a string, got null"],
    [`{"group":"${"x".repeat(201)}"}`, ["group"], "Expected 1 to 200 characters"],
    [`{"group":"a\\u0085"}`, ["group"], "Expected no control characters"],
    [`{"group":"a\\u0000"}`, ["group"], "U+0000 cannot be stored"],
    [`{"orderingkey":"a"}`, ["orderingkey"], "This key is not known here; did you mean orderingKey?"],
    [`{"maxRetries":1.5}`, ["maxRetries"], "Expected a whole number, got 1.5"],
    [`{"metadata":{"a":1}}`, ["metadata", "a"], "Expected a string, got a number"],
    [`{"prioirty":1}`, ["prioirty"], "This key is not known here; did you mean priority?"],
    [`{"max_retries":1}`, ["max_retries"], "This key is not known here; did you mean maxRetries?"],
    [`{"zzz":1}`, ["zzz"], "This key is not known here"],
    [`{"notBefore":"2027-02-30T00:00:00Z"}`, ["notBefore"], "There is no day 2027-02-30 in the calendar"],
    [`{"notBefore":"2999-01-01T00:00:00Z"}`, ["notBefore"], "Expected a time at most 10 years ahead"]
  ] as const)("is short and in plain words: %s", ([body, path, message]) =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      assert.deepStrictEqual(errorsOf(yield* call("/orders", post(body))), [
        { in: "body", path, message }
      ] as never)
    })
  )

  it.live("is the same for every query parameter and every id in a path", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const parameters = {
        "/orders": "status retrying limit cursor createdAfter createdBefore metadata. unknown".split(" "),
        "/dlq": "reasonCode failedAfter failedBefore limit cursor unknown".split(" ")
      }
      for (const [path, names] of Object.entries(parameters)) {
        for (const name of names) {
          for (const query of [
            `${name}=`,
            `${name}=x`,
            `${name}=1.5`,
            `${name}=1&${name}=2`,
            `${name}=%00`
          ]) {
            const answer = yield* call(`${path}?${query}`)
            if (answer.status === 200) assert.fail(`${path}?${query} is taken`)
            for (const error of errorsOf(answer)) {
              assert.deepStrictEqual(error.path, [name], query)
              isPlain(error.message)
            }
          }
        }
      }
      for (const path of ["/orders/x", "/orders/x/timeline", "/orders/x/events", "/dlq/x"])
        assert.strictEqual(errorsOf(yield* call(path))[0]?.message, "Expected a UUID")
      const [twice] = errorsOf(yield* call("/orders?limit=1&limit=2"))
      assert.strictEqual(twice?.message, "This parameter is given more than once")
      const [unknown] = errorsOf(yield* call("/orders?limt=1"))
      assert.strictEqual(unknown?.message, "This parameter is not known here; did you mean limit?")
    })
  )
})

describe("lengths", () => {
  const emoji = (n: number) => "😀".repeat(n)

  it.live.each([
    [{ metadata: { a: emoji(512) } }, { metadata: { a: emoji(513) } }],
    [{ metadata: { [emoji(64)]: "x" } }, { metadata: { [emoji(65)]: "x" } }],
    [{ orderingKey: emoji(200) }, { orderingKey: emoji(201) }],
    [{ group: emoji(200) }, { group: emoji(201) }]
  ])("count code points, as JSON Schema does", ([fits, tooLong]) =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      assert.strictEqual((yield* call("/orders", post(JSON.stringify(fits)))).status, 202)
      const [error] = errorsOf(yield* call("/orders", post(JSON.stringify(tooLong))))
      assert.match(error?.message ?? "", /^Expected (?:at most 512|a key of 1 to 64|1 to 200) characters$/)
    })
  )

  it.live("of query filters are counted in the same way", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const query = (key: number, value: number) =>
        `/orders?metadata.${encodeURIComponent(emoji(key))}=${encodeURIComponent(emoji(value))}`
      assert.strictEqual((yield* call(query(64, 300))).status, 200)
      assert.strictEqual((yield* call(query(65, 1))).status, 400)
      assert.strictEqual((yield* call(query(1, 513))).status, 400)
    })
  )
})

describe("a media type", () => {
  it.live.each([
    ["application/json; v=1", 202],
    ["Application/JSON ; Charset=UTF-8", 202],
    ['application/json;charset="utf-8"', 202],
    ['application/json; profile="https://x.example/a;b=\\"c\\""; v=1 ;', 202],
    ["application/vnd.shop.v2+JSON;v=1", 202],
    ["application/json;charset=utf8;x=y", 202],
    ["application/json; charset=latin1", 415],
    ["application/json; v=1; charset=utf-16", 415],
    ["application/json; charset=utf-8; charset=latin1", 415],
    ["application/json; v", 415],
    ['application/json; v="1', 415],
    ["application/jsonx", 415],
    ["application/json/x", 415],
    ["text/json", 415],
    [`application/json;${" ".repeat(10_000)}x`, 415]
  ] as const)("is read by RFC 9110: %s is %s", ([type, status]) =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const answer = yield* call("/orders", { method: "POST", headers: { "content-type": type }, body: "{}" })
      assert.strictEqual(answer.status, status)
      if (/charset=(?:latin1|utf-16)/.test(type))
        assert.deepInclude(answer.json, { detail: "The charset of the body must be UTF-8." })
    })
  )
})
