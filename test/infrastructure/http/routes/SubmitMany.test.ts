import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { MaxBodyBytes, MaxBulkBodyBytes } from "../../../../src/infrastructure/http/edge/RequestLimits.ts"
import { type Answer, serveFake, serveMemory } from "../TestServer.ts"

const post = (body: unknown, headers: Record<string, string> = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body)
})

interface Result {
  readonly orderId?: string
  readonly problem?: {
    readonly type: string
    readonly status: number
    readonly errors: ReadonlyArray<{
      readonly path: ReadonlyArray<string | number>
      readonly message: string
    }>
  }
}
const results = (answer: Answer) => {
  assert.strictEqual(answer.status, 202, answer.text)
  return (answer.json as { readonly results: ReadonlyArray<Result> }).results
}
const pathsOf = ({ problem }: Result) => problem?.errors.map(({ path }) => path.join(".")).sort()

describe("POST /orders/bulk", () => {
  it.live("has one result per order, in order: its id, or its problem with every issue", () =>
    Effect.gen(function* () {
      const { call, stores } = yield* serveMemory
      const nest = `${"[".repeat(30_000)}${"]".repeat(30_000)}`
      const orders = [
        '{"payload":{"n":0},"priority":3,"metadata":{"k":"v"}}',
        '{"priority":10,"extra":1,"metadata":{"a":1}}',
        "{}",
        '{"payload":{"a":"\\u0000","b":9007199254740993}}',
        "null",
        `{"payload":{"a":${nest}}}`,
        '{"\\u0000k":1}'
      ]
      const answered = results(yield* call("/orders/bulk", post(`{"orders":[${orders.join(",")}]}`)))
      assert.deepStrictEqual(
        answered.map((result) => (result.orderId === undefined ? pathsOf(result) : "stored")),
        [
          "stored",
          ["orders.1.extra", "orders.1.metadata.a", "orders.1.priority"],
          "stored",
          ["orders.3.payload.a", "orders.3.payload.b"],
          ["orders.4"],
          answered[5] === undefined ? [] : pathsOf(answered[5]),
          answered[6] === undefined ? [] : pathsOf(answered[6])
        ]
      )
      for (const { problem } of answered.filter(({ orderId }) => orderId === undefined)) {
        assert.deepStrictEqual([problem?.status, problem?.type], [400, "urn:order-platform:invalid-request"])
        assert.isAbove(problem?.errors.length ?? 0, 0)
      }
      const { entries } = yield* stores.reads.list({ limit: 10, after: null })
      assert.deepStrictEqual(
        entries.map(({ id }) => id as string).sort(),
        answered.flatMap(({ orderId = [] }) => orderId).sort()
      )
      assert.deepStrictEqual(entries.map(({ priority }) => priority).sort(), [0, 3])
    })
  )

  it.live("answers 202 even if every order is wrong or there is none", () =>
    Effect.gen(function* () {
      const { call, stores } = yield* serveMemory
      const wrong = results(yield* call("/orders/bulk", post({ orders: [1, { priority: "high" }] })))
      assert.deepStrictEqual(wrong.map(pathsOf), [["orders.0"], ["orders.1.priority"]])
      assert.deepStrictEqual(results(yield* call("/orders/bulk", post({ orders: [] }))), [])
      assert.deepStrictEqual((yield* stores.reads.list({ limit: 10, after: null })).entries, [])
    })
  )

  it.live("accepts 1000 orders, and answers 400 for an invalid envelope", () =>
    Effect.gen(function* () {
      const { call, submitted } = yield* serveFake()
      const orders = (n: number) => ({ orders: Array.from({ length: n }, () => ({})) })
      const bad: ReadonlyArray<readonly [unknown, string]> = [
        [orders(1001), "orders"],
        [{}, "orders"],
        ["", "orders"],
        [{ orders: {} }, "orders"],
        [{ orders: [], more: 1 }, "more"],
        ["[]", ""],
        ["nonsense", ""]
      ]
      for (const [body, path] of bad) {
        const answer = yield* call("/orders/bulk", post(body))
        assert.strictEqual(answer.status, 400, answer.text)
        const { errors } = answer.json as { errors: ReadonlyArray<{ path: ReadonlyArray<string> }> }
        assert.deepStrictEqual(
          errors.map((error) => error.path.join(".")),
          [path]
        )
      }
      assert.deepStrictEqual(submitted, [])
      assert.strictEqual(results(yield* call("/orders/bulk", post(orders(1000)))).length, 1000)
    })
  )

  it.live("limits each order like a single one, and the whole body by a limit of its own", () =>
    Effect.gen(function* () {
      const limits = Layer.mergeAll(Layer.succeed(MaxBodyBytes, 1024), Layer.succeed(MaxBulkBodyBytes, 4096))
      const { call, submitted } = yield* serveFake({}, limits)
      const order = (n: number) => ({ payload: { a: "x".repeat(n) } })
      const mixed = results(
        yield* call("/orders/bulk", post({ orders: [order(900), order(1100), order(900)] }))
      )
      assert.deepStrictEqual(mixed.map(pathsOf), [undefined, ["orders.1"], undefined])
      assert.strictEqual(submitted.length, 2)
      const answer = yield* call(
        "/orders/bulk",
        post({ orders: Array.from({ length: 5 }, () => order(900)) })
      )
      assert.strictEqual(answer.status, 413)
      assert.strictEqual((yield* call("/orders", post(order(1100)))).status, 413)
    })
  )

  it.live("limits each order by its bytes, not its characters", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake({}, Layer.succeed(MaxBodyBytes, 1024))
      const order = (text: string) => ({ payload: { a: [text, 1.5, true, null, {}, [], { "": -1.25e-7 }] } })
      const bytes = (text: string) => Buffer.byteLength(JSON.stringify(order(text)))
      for (const letter of ["x", "\u00E9", "\u20AC", "\u{1F600}", "\n", '"', "\u0001"]) {
        let text = ""
        while (bytes(text + letter) <= 1024) text += letter
        const fill = "x".repeat(1024 - bytes(text))
        const [largest, larger] = [order(text + fill), order(`${text}${fill}x`)]
        assert.strictEqual((yield* call("/orders", post(largest))).status, 202, letter)
        assert.strictEqual((yield* call("/orders", post(larger))).status, 413, letter)
        const both = results(yield* call("/orders/bulk", post({ orders: [largest, larger] })))
        assert.deepStrictEqual(both.map(pathsOf), [undefined, ["orders.1"]], letter)
      }
      // A compact body is not measured by the length of its expanded form.
      const numbers = `{"payload":{"a":[${Array.from({ length: 200 }, () => "1e15").join(",")}]}}`
      assert.strictEqual((yield* call("/orders", post(numbers))).status, 202)
      const [taken] = results(yield* call("/orders/bulk", post(`{"orders":[${numbers},{}]}`)))
      assert.isUndefined(taken === undefined ? "none" : pathsOf(taken))
    })
  )

  it.live("limits the issues of a hostile body and stays responsive", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const many = JSON.stringify(Array.from({ length: 6000 }, () => "\u0000"))
      const answered = results(
        yield* call(
          "/orders/bulk",
          post(`{"orders":[${Array.from({ length: 100 }, () => `{"payload":{"a":${many}}}`).join(",")}]}`)
        )
      )
      const issues = answered.map(({ problem }) => problem?.errors.length ?? 0)
      assert.isAtMost(Math.max(...issues), 1000)
      assert.isAtLeast(Math.min(...issues), 1)
      assert.isAtMost(
        issues.reduce((a, b) => a + b, 0),
        10_100
      )
    })
  )

  it.live("accepts only POST", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const answer = yield* call("/orders/bulk")
      assert.strictEqual(answer.status, 405)
      assert.strictEqual(answer.headers.get("allow"), "OPTIONS, POST")
    })
  )
})
