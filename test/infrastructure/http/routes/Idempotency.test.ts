import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { ApiKeys } from "../../../../src/infrastructure/http/edge/Caller.ts"
import { MaxPending } from "../../../../src/application/intake/Backpressure.ts"
import { eventually } from "../../../processes/OrderPlatformProcess.ts"
import { serveFake, serveMemory, serveMemoryWith } from "../TestServer.ts"

const post = (key: string | undefined, body?: string, headers: Record<string, string> = {}) => ({
  method: "POST",
  headers: {
    "content-type": "application/json",
    ...(key === undefined ? {} : { "idempotency-key": key }),
    ...headers
  },
  ...(body === undefined ? {} : { body })
})

describe("Idempotency-Key", () => {
  it.live("a repeated request gets the first response with Idempotency-Replayed", () =>
    Effect.gen(function* () {
      const { call, stores } = yield* serveMemory
      const first = yield* call("/orders", post("k", '{"payload":{"a":1,"b":[{"c":2,"d":3}]}}'))
      assert.strictEqual(first.status, 202, first.text)
      assert.isNull(first.headers.get("idempotency-replayed"))
      // Other key order, white space, spelling of numbers and strings, and written-out defaults.
      const same = [
        '{"payload":{"a":1,"b":[{"c":2,"d":3}]}}',
        ' { "payload" : { "b" : [ { "d": 3.0 , "c": 2e0 } ], "\\u0061" : 1 } } ',
        '{"payload":{"a":1,"b":[{"c":2,"d":3}]},"type":"default","priority":0,"maxRetries":3,"metadata":{}}'
      ]
      for (const body of same) {
        const again = yield* call("/orders", post("k", body, { "x-correlation-id": "another" }))
        assert.strictEqual(again.status, 202, again.text)
        assert.strictEqual(again.text, first.text)
        assert.strictEqual(again.headers.get("location"), first.headers.get("location"))
        assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
      }
      assert.strictEqual((yield* stores.reads.list({ limit: 10, after: null })).entries.length, 1)
    })
  )

  it.live("another request with the same key is a 422", () =>
    Effect.gen(function* () {
      const { call, stores } = yield* serveMemory
      assert.strictEqual((yield* call("/orders", post("k", '{"payload":{"a":[1,2]}}'))).status, 202)
      const others = [
        undefined,
        '{"payload":{"a":[2,1]}}',
        '{"payload":{"a":[1,2]},"type":"invoice"}',
        '{"payload":{"a":[1,2]},"orderingKey":"k"}',
        '{"payload":{"a":[1,2]},"group":"g"}',
        '{"payload":{"a":[1,2]},"priority":1}',
        '{"payload":{"a":[1,2]},"maxRetries":4}',
        '{"payload":{"a":[1,2]},"metadata":{"k":"v"}}',
        '{"payload":{"a":[1,2]},"notBefore":"2026-11-22T12:00:00Z"}',
        '{"payload":{"a":["1",2]}}',
        '{"payload":{"a":[1,2],"b":null}}'
      ]
      for (const body of others) {
        const answer = yield* call("/orders", post("k", body))
        assert.strictEqual(answer.status, 422, body)
        assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
        assert.include(answer.text, "urn:order-platform:idempotency-mismatch")
      }
      assert.strictEqual((yield* stores.reads.list({ limit: 10, after: null })).entries.length, 1)
    })
  )

  it.live("a request that was refused leaves its key free", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      assert.strictEqual((yield* call("/orders", post("k", '{"priority":11}'))).status, 400)
      assert.strictEqual((yield* call("/orders", post("k", '{"priority":9}'))).status, 202)
    })
  )

  it.live(
    "while too many orders wait, repeated requests get the first response and others a 503 with Retry-After",
    () =>
      Effect.gen(function* () {
        const { call, stores } = yield* serveMemoryWith(Layer.succeed(MaxPending, 1))
        const first = yield* call("/orders", post("k", '{"priority":1}'))
        const bulk = yield* call("/orders/bulk", post("k", '{"orders":[{},{}]}'))
        assert.deepStrictEqual([first.status, bulk.status], [202, 202])
        // Until the next sample, a second after the first.
        const refused = yield* eventually(
          "more orders wait than are taken",
          Effect.map(call("/orders", post(undefined, "{}")), (answer) =>
            answer.status === 202 ? undefined : answer
          )
        )
        const before = (yield* stores.intake.countDue(1000)).due
        for (const answer of [
          refused,
          yield* call("/orders", post("new", "{}")),
          yield* call("/orders/bulk", post("new", '{"orders":[{}]}')),
          yield* call("/orders/bulk", post(undefined, '{"orders":[{}]}'))
        ]) {
          assert.strictEqual(answer.status, 503)
          assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
          const { retryAfterSeconds, type } = answer.json as Readonly<Record<string, unknown>>
          assert.strictEqual(type, "urn:order-platform:overloaded")
          assert.strictEqual(answer.headers.get("retry-after"), String(retryAfterSeconds))
          assert.strictEqual(retryAfterSeconds, 60, "nothing becomes final")
        }
        for (const [path, body, earlier] of [
          ["/orders", '{"priority":1}', first],
          ["/orders/bulk", '{"orders":[{},{}]}', bulk]
        ] as const) {
          const again = yield* call(path, post("k", body))
          assert.deepStrictEqual([again.status, again.text], [202, earlier.text])
          assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
        }
        assert.strictEqual((yield* call("/orders", post("k", '{"priority":2}'))).status, 422)
        assert.strictEqual((yield* stores.intake.countDue(1000)).due, before, "nothing was stored")
      })
  )

  it.live("a key is 1 to 255 printable ASCII characters", () =>
    Effect.gen(function* () {
      const { call, keys } = yield* serveFake()
      for (const path of ["/orders", "/orders/bulk"]) {
        for (const key of ["", " ", "ü", "a\tb", "x".repeat(256)]) {
          const answer = yield* call(path, post(key, '{"orders":[]}'))
          assert.strictEqual(answer.status, 400, JSON.stringify(key))
          assert.include(answer.text, '"header"')
        }
      }
      assert.deepStrictEqual(keys, [])
      for (const key of ["x".repeat(255), '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a b~!"]) {
        assert.strictEqual((yield* call("/orders", post(key))).status, 202)
      }
      assert.strictEqual(keys.length, 3)
    })
  )

  it.live("keys are scoped to the caller and the route", () =>
    Effect.gen(function* () {
      const key = (name: string) => ({ name, secret: Redacted.make(`${name}-secret-0123456789`) })
      const settings = Layer.succeed(ApiKeys, {
        clients: [key("shop"), key("till")],
        operators: [key("ann")]
      })
      const { call, keys } = yield* serveFake({}, settings)
      for (const name of ["shop", "till", "ann"]) {
        const headers = { authorization: `Bearer ${name}-secret-0123456789` }
        yield* call("/orders", post("k", "{}", headers))
        yield* call("/orders/bulk", post("k", '{"orders":[]}', headers))
      }
      assert.deepStrictEqual(
        keys.map(({ scope }) => scope),
        ["shop", "till", "ann"].flatMap((name) => [`POST /orders ${name}`, `POST /orders/bulk ${name}`])
      )
      const open = yield* serveFake()
      yield* open.call("/orders", post("k"))
      assert.deepStrictEqual(open.keys, [{ key: "k", scope: "POST /orders" }])
    })
  )

  it.live("a key of a bulk covers the whole call, and its problems are replayed too", () =>
    Effect.gen(function* () {
      const { call, stores } = yield* serveMemory
      const body = '{"orders":[{"payload":{"a":1}},{"priority":11,"x":"\\u0000"},{}]}'
      const first = yield* call("/orders/bulk", post("k", body))
      assert.strictEqual(first.status, 202, first.text)
      const again = yield* call(
        "/orders/bulk",
        post(
          "k",
          '{"orders":[{"priority":0,"payload":{"a":1}},{"x":"\\u0000","priority":11},{"metadata":{}}]}'
        )
      )
      assert.strictEqual(again.text, first.text)
      assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
      for (const other of ['{"orders":[{"payload":{"a":1}},{"priority":11},{}]}', '{"orders":[]}']) {
        assert.strictEqual((yield* call("/orders/bulk", post("k", other))).status, 422, other)
      }
      assert.strictEqual((yield* call("/orders", post("k"))).status, 202)
      assert.strictEqual((yield* stores.reads.list({ limit: 10, after: null })).entries.length, 3)
    })
  )

  it.live("500 concurrent requests with one key store one order and get equal responses", () =>
    Effect.gen(function* () {
      const { call, stores } = yield* serveMemory
      const answers = yield* Effect.forEach(
        Array.from({ length: 500 }),
        () => call("/orders", post("one", '{"payload":{"a":1}}')),
        { concurrency: 500 }
      )
      assert.strictEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1)
      assert.strictEqual(answers[0]?.status, 202)
      assert.strictEqual(
        answers.filter(({ headers }) => headers.get("idempotency-replayed") === null).length,
        1
      )
      assert.strictEqual((yield* stores.reads.list({ limit: 10, after: null })).entries.length, 1)
    })
  )
})
