import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Schema } from "effect"
import * as OrderPayload from "../../../../src/domain/OrderPayload.ts"
import { MaxBodyBytes } from "../../../../src/infrastructure/http/edge/RequestLimits.ts"
import { fakePlatform, idNumber } from "../FakePlatform.ts"
import { type Answer, serve, serveFake } from "../TestServer.ts"

const post = (body?: unknown, headers: Record<string, string> = { "content-type": "application/json" }) => ({
  method: "POST",
  headers,
  ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
})

const issues = (answer: Answer) => {
  assert.strictEqual(answer.status, 400, answer.text)
  assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
  const { errors, type } = answer.json as {
    type: string
    errors: ReadonlyArray<{ in: string; path: ReadonlyArray<string | number>; message: string }>
  }
  assert.strictEqual(type, "urn:order-platform:invalid-request")
  return errors.map(({ in: part, path }) => `${part}:${path.join(".")}`).sort()
}

describe("POST /orders", () => {
  it.live("answers 202 with id and location, and uses defaults without a body", () =>
    Effect.gen(function* () {
      const { call, logs, submitted } = yield* serveFake()
      const answers = [
        yield* call("/orders", { method: "POST" }),
        yield* call("/orders", post("")),
        yield* call("/orders", post("", {})),
        yield* call("/orders", post("{}"))
      ]
      for (const answer of answers) {
        assert.strictEqual(answer.status, 202, answer.text)
        assert.deepStrictEqual(answer.json, { orderId: idNumber(9) })
        assert.strictEqual(answer.headers.get("location"), `/orders/${idNumber(9)}`)
      }
      for (const { correlationId, ...submission } of submitted) {
        assert.deepStrictEqual(submission, { payload: {} })
        assert.match(correlationId ?? "", /^[0-9a-f-]{36}$/)
      }
      assert.strictEqual(submitted.length, 4)
      // Success logs nothing at any level.
      assert.deepStrictEqual(logs, [])
    })
  )

  it.live("passes everything in the body to the platform", () =>
    Effect.gen(function* () {
      const { call, submitted } = yield* serveFake()
      const body = {
        payload: { a: [1, { b: "ü" }], ["__proto__"]: 1 },
        priority: 9,
        notBefore: "2026-11-22T14:00:00+02:00",
        maxRetries: 0,
        metadata: { k: "v" }
      }
      const answer = yield* call(
        "/orders",
        post(body, { "content-type": "application/vnd.x+json; charset=UTF-8", "x-correlation-id": "my id" })
      )
      assert.strictEqual(answer.status, 202, answer.text)
      assert.strictEqual(answer.headers.get("x-correlation-id"), "my id")
      const [submission] = submitted
      assert.deepStrictEqual(
        { ...submission, notBefore: DateTime.formatIso(submission?.notBefore ?? DateTime.makeUnsafe(0)) },
        { ...body, notBefore: "2026-11-22T12:00:00.000Z", correlationId: "my id" }
      )
    })
  )

  it.live("reports every issue with its path in the body, unknown keys included", () =>
    Effect.gen(function* () {
      const { call, submitted } = yield* serveFake()
      const bad = {
        payload: [1],
        priority: 10,
        maxRetries: 1.5,
        notBefore: "2026-02-31T00:00:00Z",
        metadata: { a: 1, b: "x".repeat(513) },
        extra: true,
        other: null
      }
      assert.deepStrictEqual(issues(yield* call("/orders", post(bad))), [
        "body:extra",
        "body:maxRetries",
        "body:metadata.a",
        "body:metadata.b",
        "body:notBefore",
        "body:other",
        "body:payload",
        "body:priority"
      ])
      for (const notBefore of ["2026-01-01", "2026-01-01T00:00:00", "9999-01-01T00:00:00Z", 5, null]) {
        assert.deepStrictEqual(issues(yield* call("/orders", post({ notBefore }))), ["body:notBefore"])
      }
      for (const metadata of [{ "": "x" }, { ["k".repeat(65)]: "x" }]) {
        assert.deepStrictEqual(issues(yield* call("/orders", post({ metadata }))).length, 1)
      }
      const many = Object.fromEntries(Array.from({ length: 33 }, (_, n) => [n, "x"]))
      assert.deepStrictEqual(issues(yield* call("/orders", post({ metadata: many }))), ["body:metadata"])
      assert.deepStrictEqual(submitted, [])
    })
  )

  it.live("refuses JSON that cannot be stored unchanged, with its path", () =>
    Effect.gen(function* () {
      const { call, submitted } = yield* serveFake()
      const nest = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
      const refused: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
        ['{"payload":{"a":"\\u0000"}}', ["body:payload.a"]],
        ['{"payload":{"a":["x","\\ud800"]}}', ["body:payload.a.1"]],
        ['{"payload":{"\\u0000k":1}}', ["body:payload.\uFFFDk"]],
        ['{"metadata":{"a":"\\udc00"}}', ["body:metadata.a"]],
        ['{"payload":{"a":9007199254740993}}', ["body:payload.a"]],
        ['{"payload":{"a":-9007199254740992}}', ["body:payload.a"]],
        ['{"payload":{"a":1e999}}', ["body:payload.a"]],
        ['{"payload":{"a":"\\u0000"},"priority":11}', ["body:payload.a", "body:priority"]],
        ['{"payload":', ["body:"]],
        [" ", ["body:"]],
        ["null", ["body:"]],
        ["[]", ["body:"]],
        ['"x"', ["body:"]]
      ]
      for (const [body, expected] of refused) {
        assert.deepStrictEqual(issues(yield* call("/orders", post(body))), expected, body)
      }
      assert.strictEqual(issues(yield* call("/orders", post(`{"payload":{"a":${nest(63)}}}`))).length, 1)
      assert.strictEqual(issues(yield* call("/orders", post(`{"payload":{"a":${nest(30_000)}}}`))).length, 1)
      const notUtf8 = { ...post("x"), body: new Uint8Array([0x22, 0xff, 0x22]) }
      assert.deepStrictEqual(issues(yield* call("/orders", notUtf8)), ["body:"])
      assert.deepStrictEqual(submitted, [])
      const fits = yield* call("/orders", post(`{"payload":{"a":${nest(62)},"b":9007199254740991}}`))
      assert.strictEqual(fits.status, 202, fits.text)
    })
  )

  it.live("answers 415 for anything but JSON in UTF-8", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "x"
      ]
      for (const type of types) {
        const answer = yield* call("/orders", post("{}", { "content-type": type }))
        assert.strictEqual(answer.status, 415, type)
        assert.include(answer.text, "urn:order-platform:unsupported-media-type")
      }
      const gzip = { "content-type": "application/json", "content-encoding": "gzip" }
      assert.strictEqual((yield* call("/orders", post("{}", gzip))).status, 415)
    })
  )

  it.live("answers 413 above the limit, whether the length is declared or not", () =>
    Effect.gen(function* () {
      const { call, submitted } = yield* serveFake({}, Layer.succeed(MaxBodyBytes, 1024))
      const body = (bytes: number) => `{"payload":{"a":"${"x".repeat(bytes - 20)}"}}`
      assert.strictEqual((yield* call("/orders", post(body(1024)))).status, 202)
      const chunked = { ...post("x"), body: new Blob([body(5000)]).stream(), duplex: "half" } as RequestInit
      for (const init of [post(body(1025)), chunked, post(body(3_000_000))]) {
        const answer = yield* call("/orders", init)
        assert.strictEqual(answer.status, 413)
        assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
        assert.include(answer.text, "urn:order-platform:too-large")
      }
      assert.strictEqual(submitted.length, 1)
    })
  )

  it.live("decodes an app's payload by its schema, with paths as the client wrote them", () =>
    Effect.gen(function* () {
      const coffee = OrderPayload.make(Schema.Struct({ drink: Schema.String, cups: Schema.Int }), {
        version: 2
      })
      const { platform, submitted } = fakePlatform<typeof coffee.Payloads>()
      const { call } = yield* serve(coffee, platform)
      assert.deepStrictEqual(
        issues(
          yield* call("/orders", post({ payload: { drink: "tea", cups: "2", sugar: 1 }, priority: "high" }))
        ),
        ["body:payload.cups", "body:payload.sugar", "body:priority"]
      )
      assert.deepStrictEqual(issues(yield* call("/orders", { method: "POST" })), [
        "body:payload.cups",
        "body:payload.drink"
      ])
      assert.strictEqual((yield* call("/orders", post({ payload: { drink: "tea", cups: 2 } }))).status, 202)
      assert.deepStrictEqual(
        submitted.map(({ payload }) => payload.cups + 1),
        [3]
      )
    })
  )
})
