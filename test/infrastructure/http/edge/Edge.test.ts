import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import type { OpenApi } from "effect/http-api"
import { accepts } from "../../../../src/infrastructure/http/edge/ContentNegotiation.ts"
import { CorsOrigins } from "../../../../src/infrastructure/http/edge/ResponseHeaders.ts"
import { ApiKeys } from "../../../../src/infrastructure/http/edge/Caller.ts"
import { loggedPath } from "../../../../src/infrastructure/http/edge/RequestHead.ts"
import { RequestTimeout } from "../../../../src/infrastructure/http/edge/RequestLimits.ts"
import { idNumber } from "../FakePlatform.ts"
import { raw } from "../../../RawHttp.ts"
import { type Answer, serveFake } from "../TestServer.ts"

const problem = (answer: Answer, status: number, type: string) => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
  const json = answer.json as {
    readonly type: string
    readonly errors?: ReadonlyArray<{ in: string; path: unknown }>
  }
  assert.strictEqual(json.type, `urn:order-platform:${type}`)
  return (json.errors ?? []).map(({ in: part, path }) => `${part}:${String(path)}`)
}

const rawProblem = (answer: string, status: number, type: string) => {
  assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
  const [head = "", body = ""] = answer.split("\r\n\r\n")
  assert.match(head, /content-type: application\/problem\+json/i)
  for (const header of protective) assert.include(head.toLowerCase(), header)
  const json = JSON.parse(body) as { readonly type: string; readonly status: number; readonly detail: string }
  assert.deepStrictEqual([json.type, json.status], [`urn:order-platform:${type}`, status])
  assert.isNotEmpty(json.detail)
}

const protective = [
  "cache-control: no-store",
  "content-security-policy: default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy: same-origin",
  "referrer-policy: no-referrer",
  "x-content-type-options: nosniff",
  "x-correlation-id: "
]

/** The method and path of every operation of the document, with ids in the path. */
const operationsOf = (answer: Answer) =>
  Object.entries((answer.json as OpenApi.OpenAPISpec).paths).flatMap(([path, operations]) =>
    Object.entries(operations as Record<string, OpenApi.OpenAPISpecOperation>).map(
      ([method, { responses }]) => ({
        method: method.toUpperCase(),
        path: path.replaceAll(/\{\w+\}/g, idNumber(1)),
        types: Object.entries(responses)
          .filter(([status]) => status.startsWith("2"))
          .flatMap(([, { content }]) => Object.keys(content ?? {}))
      })
    )
  )

describe("a body that stalls", () => {
  it.live("beyond the time limit is answered 503, and its connection is closed", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake({}, Layer.succeed(RequestTimeout, Duration.millis(200)))
      for (const framing of ["content-length: 100", "transfer-encoding: chunked"]) {
        const begun = `POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`
        rawProblem(
          yield* raw(port, framing.startsWith("t") ? `${begun}1\r\n{\r\n` : `${begun}{`),
          503,
          "unavailable"
        )
      }
    })
  )

  it.live("in chunks is not awaited once it is refused: the response has Connection: close", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake()
      const chunked = (head: string, body: string) =>
        raw(port, `POST ${head}\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n${body}`)
      for (const [answer, status, type] of [
        [yield* chunked("/orders HTTP/1.1", `11170\r\n${" ".repeat(70_000)}\r\n`), 413, "too-large"],
        [yield* chunked("/nowhere HTTP/1.1", "1\r\n"), 404, "not-found"],
        [yield* chunked("/orders HTTP/1.1\r\nx-correlation-id: ü", "1\r\n"), 400, "invalid-request"],
        [
          yield* chunked("/orders HTTP/1.1\r\ncontent-type: text/plain", "1\r\n"),
          415,
          "unsupported-media-type"
        ]
      ] as const) {
        rawProblem(answer, status, type)
        assert.match(answer, /\r\nconnection: close\r\n/i)
      }
    })
  )

  it.live("in its headers is answered 408 by the server's limit", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake({}, Layer.succeed(RequestTimeout, Duration.millis(200)))
      rawProblem(yield* raw(port, "GET /orders HTTP/1.1\r\nhost: localhost\r\nx-a:"), 408, "invalid-request")
    })
  )
})

describe("malformed HTTP", () => {
  it.live("gets a problem with all headers, where Node would send no response or no body", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake()
      const close = "connection: close\r\n"
      rawProblem(yield* raw(port, "garbage\r\n\r\n"), 400, "invalid-request")
      rawProblem(yield* raw(port, `GET /health/live HTTP/1.1\r\n${close}\r\n`), 400, "invalid-request")
      rawProblem(
        yield* raw(port, "CONNECT a:1 HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        405,
        "method-not-allowed"
      )
      rawProblem(
        yield* raw(port, `POST /orders HTTP/1.1\r\nhost: localhost\r\nexpect: tea\r\n\r\n`),
        417,
        "invalid-request"
      )
      rawProblem(
        yield* raw(
          port,
          `POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n`
        ),
        400,
        "invalid-request"
      )
      rawProblem(
        yield* raw(port, "GET / HTTP/1.1\r\nhost: localhost\r\na: \0\r\n\r\n"),
        400,
        "invalid-request"
      )
      rawProblem(
        yield* raw(port, `GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`),
        431,
        "too-large"
      )
      const upgrade = `GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n`
      assert.match(yield* raw(port, upgrade), /^HTTP\/1\.1 200 /)
      // Health checks of load balancers may use HTTP/1.0 without Host.
      assert.match(yield* raw(port, "GET /health/live HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 /)
      const waits = `POST /orders HTTP/1.1\r\nhost: localhost\r\n${close}expect: 100-continue\r\ncontent-length: 2\r\n\r\n{}`
      assert.match(yield* raw(port, waits), /^HTTP\/1\.1 100 [^]*HTTP\/1\.1 202 /)
    })
  )

  it.live("escapes that are not UTF-8 are refused, naming the part of the URL", () =>
    Effect.gen(function* () {
      const { call, submitted } = yield* serveFake()
      for (const escape of ["%", "%zz", "%4", "%ff", "%ED%A0%80", "%C0%80", "%u0041"]) {
        for (const path of [`/orders/${escape}`, `/${escape}`, `/dlq/${escape}/reprocess`]) {
          assert.deepStrictEqual(problem(yield* call(path), 400, "invalid-request"), ["path:"], path)
        }
        for (const path of [`/orders?status=${escape}`, `/dlq?${escape}=1`, `/health/live?${escape}`]) {
          assert.deepStrictEqual(problem(yield* call(path), 400, "invalid-request"), ["query:"], path)
        }
      }
      for (const path of [
        "/orders?metadata.a=%00",
        "/orders?metadata.%00=a",
        "/dlq?reason=%00",
        "/orders?%00=1"
      ]) {
        problem(yield* call(path), 400, "invalid-request")
      }
      problem(yield* call("/orders/%00"), 400, "invalid-request")
      problem(yield* call("/orders?__proto__=1&constructor=2"), 400, "invalid-request")
      assert.strictEqual((yield* call(`/orders?metadata.a=${encodeURIComponent("ü€😀%")}`)).status, 200)
      assert.deepStrictEqual(submitted, [])
    })
  )

  it.live("a trailing or doubled slash in a path is ignored", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      for (const path of [
        "/orders/",
        `/orders/${idNumber(1)}/`,
        `//orders//${idNumber(1)}`,
        "/health/live/"
      ]) {
        assert.strictEqual((yield* call(path)).status, 200, path)
        assert.strictEqual((yield* call(path, { method: "PUT" })).status, 405, path)
        assert.strictEqual((yield* call(path, { method: "OPTIONS" })).status, 204, path)
      }
    })
  )
})

describe("the Accept header", () => {
  it.live(
    "is checked before anything is done: 406 on every route with a response body, except health checks",
    () =>
      Effect.gen(function* () {
        const { call, submitted } = yield* serveFake()
        const operations = operationsOf(yield* call("/openapi.json"))
        assert.isAbove(operations.length, 8)
        for (const { method, path, types } of operations) {
          const refuses = types.length > 0 && !path.startsWith("/health/")
          for (const accept of ["image/png", "*/*;q=0", "application/xml, image/*"]) {
            const answer = yield* call(path, { method, headers: { accept } })
            if (refuses) problem(answer, 406, "not-acceptable")
            else assert.isBelow(answer.status, 300, `${method} ${path}`)
          }
          const [type = "text/plain"] = types
          for (const accept of [type, `image/png, ${type};q=0.1`, "*/*", `${type.split("/")[0]}/*`]) {
            const { status } = yield* call(path, { method, headers: { accept } })
            assert.notStrictEqual(status, 406, `${method} ${path} ${accept}`)
          }
        }
        assert.strictEqual(submitted.length, 4)
      })
  )

  it("is matched by its most specific range", () => {
    const cases: ReadonlyArray<readonly [string, boolean]> = [
      ["application/json", true],
      ["APPLICATION/JSON ; charset=utf-8", true],
      ["application/*", true],
      ["text/html, */*;q=0.1", true],
      ["application/json;q=0, */*", false],
      ["application/*;q=0, application/json", true],
      ["*/*;q=0.000", false],
      ["text/html", false],
      ["", true],
      ["nonsense", true]
    ]
    for (const [accept, expected] of cases)
      assert.strictEqual(accepts(accept, "application/json"), expected, accept)
  })
})

describe("headers", () => {
  it.live("protect every response", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const answers = [
        yield* call("/orders", { method: "POST" }),
        yield* call("/nothing"),
        yield* call("/orders", { method: "OPTIONS" }),
        yield* call("/metrics"),
        yield* call("/openapi.json"),
        yield* call("/health/live", { method: "HEAD" })
      ]
      for (const { headers } of answers) {
        const all = [...headers].map(([name, value]) => `${name}: ${value}`).join("\n")
        for (const header of protective) assert.include(all, header)
        assert.notInclude(all, "access-control")
      }
    })
  )

  it.live("allow the pages of configured origins and no others; a preflight needs no key", () =>
    Effect.gen(function* () {
      const secret = Redacted.make("the-secret-of-the-shop")
      const settings = Layer.mergeAll(
        Layer.succeed(CorsOrigins, ["https://shop.example"]),
        Layer.succeed(ApiKeys, { clients: [{ name: "shop", secret }], operators: [] })
      )
      const { call } = yield* serveFake({}, settings)
      const preflight = (origin: string, path = "/orders") =>
        call(path, {
          method: "OPTIONS",
          headers: {
            origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization"
          }
        })
      const allowed = yield* preflight("https://shop.example")
      assert.strictEqual(allowed.status, 204)
      assert.strictEqual(allowed.headers.get("access-control-allow-origin"), "https://shop.example")
      assert.strictEqual(allowed.headers.get("access-control-allow-methods"), "GET, HEAD, OPTIONS, POST")
      assert.include(allowed.headers.get("access-control-allow-headers") ?? "", "Authorization")
      assert.isNull(allowed.headers.get("access-control-allow-credentials"))
      for (const path of ["/orders", "/nothing", "/health/live"]) {
        const answer = yield* call(path, { headers: { origin: "https://shop.example" } })
        assert.strictEqual(answer.headers.get("access-control-allow-origin"), "https://shop.example")
        assert.include(answer.headers.get("access-control-expose-headers") ?? "", "X-Correlation-Id")
        assert.strictEqual(answer.headers.get("vary"), "Origin")
      }
      for (const origin of [
        "https://shop.example.evil.example",
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://SHOP.example",
        "null",
        "*"
      ]) {
        for (const answer of [yield* preflight(origin), yield* call("/orders", { headers: { origin } })]) {
          assert.isNull(answer.headers.get("access-control-allow-origin"), origin)
          assert.strictEqual(answer.headers.get("vary"), "Origin")
        }
      }
    })
  )
})

describe("a key in the wrong place", () => {
  it.live("is in no log line, no problem and no header", () =>
    Effect.gen(function* () {
      const secret = "the-secret-of-ann-the-operator"
      const { call, logs } = yield* serveFake(
        { find: () => Effect.die("boom"), submit: () => Effect.die("boom"), stats: Effect.die("boom") },
        Layer.succeed(ApiKeys, { clients: [], operators: [{ name: "ann", secret: Redacted.make(secret) }] })
      )
      const authorization = `Bearer ${secret}`
      const post = { method: "POST", headers: { authorization, "content-type": "application/json" } }
      const answers = [
        yield* call(`/orders/${idNumber(1)}?key=${secret}`, { headers: { authorization } }),
        yield* call(`/orders/${secret}`, { headers: { authorization } }),
        yield* call(`/${secret}`, { headers: { authorization } }),
        yield* call(`/orders?status=${secret}&limit=${secret}&cursor=${secret}`, {
          headers: { authorization }
        }),
        yield* call("/stats", { headers: { authorization, "x-correlation-id": secret } }),
        yield* call("/stats", { headers: { authorization, cookie: `key=${secret}`, "x-api-key": secret } }),
        yield* call("/dlq", { headers: { authorization, "if-match": secret } }),
        yield* call(`/dlq/${idNumber(1)}/reprocess`, {
          method: "POST",
          headers: { authorization, "if-match": secret }
        }),
        yield* call("/orders", { ...post, body: JSON.stringify({ priority: secret, maxRetries: secret }) }),
        yield* call("/orders", { ...post, body: secret }),
        yield* call("/orders", { ...post, body: JSON.stringify({ payload: { key: secret } }) })
      ]
      assert.includeMembers(
        answers.map(({ status }) => status),
        [500, 400, 404]
      )
      assert.isAbove(logs.length, 2)
      const output = JSON.stringify([logs, answers.map(({ headers, text }) => [[...headers], text])])
      assert.notInclude(output, "the-secret")
      assert.strictEqual(loggedPath(`/orders/${idNumber(1)}/${secret}?${secret}`), `/orders/${idNumber(1)}/…`)
    })
  )
})
