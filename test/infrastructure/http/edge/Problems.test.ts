import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer } from "effect"
import { connect } from "node:net"
import { OrdersUnavailable } from "../../../../src/domain/OrderErrors.ts"
import { RequestTimeout } from "../../../../src/infrastructure/http/edge/RequestLimits.ts"
import { idNumber } from "../FakePlatform.ts"
import { type Answer, serveFake } from "../TestServer.ts"

const problem = (answer: Answer, status: number, type: string) => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
  const json = answer.json as Record<string, unknown>
  assert.strictEqual(json["type"], `urn:order-platform:${type}`)
  assert.strictEqual(json["status"], status)
  for (const member of ["title", "detail"])
    assert.isTrue(typeof json[member] === "string" && json[member] !== "")
  return json
}

const raw = (port: number, text: string) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(text))
    socket.on("data", (chunk) => (answer += String(chunk)))
    socket.on("close", () => resume(Effect.succeed(answer)))
    socket.on("error", () => resume(Effect.succeed(answer)))
  })

/** Two routes, as each rule has to hold for every route. */
const ways = [
  {
    path: `/orders/${idNumber(1)}`,
    init: {},
    fake: (becomes: Effect.Effect<never>) => ({ find: () => becomes })
  },
  {
    path: "/orders",
    init: { method: "POST" },
    fake: (becomes: Effect.Effect<never>) => ({ submit: () => becomes })
  }
]

describe("problems", () => {
  it.live("an unknown path is a 404 problem, also if it is malformed", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      for (const path of ["/", "/nothing", "/orders/a/b", "/ORDERS", "/redrives/1", "/docs/x", "/worker/x"]) {
        problem(yield* call(path), 404, "not-found")
        problem(yield* call(path, { method: "PROPFIND" }), 404, "not-found")
      }
      problem(yield* call("/orders/nothing"), 400, "invalid-request")
      const broken = yield* call("/orders/%zz")
      assert.include([400, 404], broken.status)
      assert.include(broken.text, "urn:order-platform:")
      const long = yield* call(`/orders/${"a".repeat(5000)}`)
      problem(long, 400, "invalid-request")
      const slashes = yield* call("//evil")
      problem(slashes, 404, "not-found")
    })
  )

  it.live("a wrong method is a 405 with Allow; OPTIONS is a 204 with the same Allow", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const id = idNumber(1)
      const allowed = {
        "/orders": "GET, HEAD, OPTIONS, POST",
        [`/orders/${id}`]: "GET, HEAD, OPTIONS",
        [`/orders/${id}/timeline`]: "GET, HEAD, OPTIONS",
        [`/orders/${id}/cancel`]: "OPTIONS, POST",
        [`/orders/${id}/run`]: "OPTIONS, POST",
        "/worker": "GET, HEAD, OPTIONS",
        "/worker/pause": "OPTIONS, POST",
        "/worker/resume": "OPTIONS, POST",
        "/groups": "GET, HEAD, OPTIONS",
        "/groups/acme": "DELETE, OPTIONS, PUT",
        "/audit": "GET, HEAD, OPTIONS",
        "/dlq": "GET, HEAD, OPTIONS",
        [`/dlq/${id}`]: "DELETE, GET, HEAD, OPTIONS",
        [`/dlq/${id}/reprocess`]: "OPTIONS, POST",
        "/health/live": "GET, HEAD, OPTIONS",
        "/health/ready": "GET, HEAD, OPTIONS",
        "/openapi.json": "GET, HEAD, OPTIONS",
        "/docs": "GET, HEAD, OPTIONS"
      }
      for (const [path, allow] of Object.entries(allowed)) {
        for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY", "PROPFIND", "M-SEARCH"]) {
          if (allow.includes(method)) continue
          const answer = yield* call(path, { method })
          problem(answer, 405, "method-not-allowed")
          assert.strictEqual(answer.headers.get("allow"), allow)
        }
        const options = yield* call(path, { method: "OPTIONS" })
        assert.strictEqual(options.status, 204)
        assert.strictEqual(options.headers.get("allow"), allow)
        const head = yield* call(path, { method: "HEAD" })
        assert.strictEqual(head.text, "")
        assert.strictEqual(head.status === 405, !allow.includes("GET"), `${path} ${head.status}`)
      }
    })
  )

  it.live(
    "every response has a correlation id, received or generated, and headers against caching and sniffing",
    () =>
      Effect.gen(function* () {
        const { call } = yield* serveFake()
        const paths = [
          "/orders",
          "/nothing",
          `/orders/${idNumber(1)}`,
          "/health/live",
          "/openapi.json",
          "/docs",
          "/orders/x"
        ]
        for (const path of paths) {
          const made = yield* call(path)
          assert.match(made.headers.get("x-correlation-id") ?? "", /^[0-9a-f-]{36}$/)
          const cacheControl = path === "/docs" ? "no-cache" : "no-store"
          assert.strictEqual(made.headers.get("cache-control"), cacheControl)
          assert.strictEqual(made.headers.get("x-content-type-options"), "nosniff")
          const given = yield* call(path, { headers: { "x-correlation-id": "~ my {id} ~" } })
          assert.strictEqual(given.headers.get("x-correlation-id"), "~ my {id} ~")
          for (const id of ["", "x".repeat(129), "\u00fc"]) {
            const refused = yield* call(path, { headers: { "x-correlation-id": id } })
            const { errors } = problem(refused, 400, "invalid-request") as {
              errors: ReadonlyArray<{ path: unknown }>
            }
            assert.deepStrictEqual(errors[0]?.path, ["X-Correlation-Id"])
            assert.match(refused.headers.get("x-correlation-id") ?? "", /^[0-9a-f-]{36}$/)
          }
          const longest = { headers: { "x-correlation-id": "x".repeat(128) } }
          assert.strictEqual((yield* call(path, longest)).headers.get("x-correlation-id"), "x".repeat(128))
        }
      })
  )

  it.live("a defect is a 500 without details, logged once with its cause and correlation id", () =>
    Effect.forEach(ways, ({ fake, init, path }) =>
      Effect.gen(function* () {
        const { call, logs } = yield* serveFake(fake(Effect.die(new Error("SELECT secret FROM orders"))))
        const answer = yield* call(path, { ...init, headers: { "x-correlation-id": "c-7" } })
        problem(answer, 500, "internal")
        assert.notInclude(answer.text, "secret")
        assert.strictEqual(logs.length, 1)
        assert.strictEqual(logs[0]?.level, "Error")
        assert.include(logs[0]?.cause, "SELECT secret FROM orders")
        assert.strictEqual(logs[0]?.annotations["correlationId"], "c-7")
      })
    )
  )

  it.live("an unavailable store is a 503 with Retry-After; success and client errors log nothing", () =>
    Effect.gen(function* () {
      const away = Effect.fail(new OrdersUnavailable())
      const { call, logs } = yield* serveFake({ submit: () => away, deadLetters: () => away })
      for (const answer of [yield* call("/orders", { method: "POST" }), yield* call("/dlq")]) {
        problem(answer, 503, "unavailable")
        assert.match(answer.headers.get("retry-after") ?? "", /^\d+$/)
      }
      yield* call("/health/live")
      yield* call("/nothing")
      assert.deepStrictEqual(logs, [])
    })
  )

  it.live("a request beyond the time limit is interrupted and is a 503, logged with its correlation id", () =>
    Effect.forEach(ways, ({ fake, init, path }) =>
      Effect.gen(function* () {
        const interrupted = yield* Deferred.make<void>()
        const { call, logs } = yield* serveFake(
          fake(Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))),
          Layer.succeed(RequestTimeout, Duration.millis(100))
        )
        const answer = yield* call(path, { ...init, headers: { "x-correlation-id": "c-8" } })
        problem(answer, 503, "unavailable")
        assert.isNotNull(answer.headers.get("retry-after"))
        yield* Deferred.await(interrupted)
        assert.deepStrictEqual(
          logs.map(({ annotations }) => annotations["correlationId"]),
          ["c-8"]
        )
      })
    )
  )

  it.live("a client that disconnects interrupts its request, which is not logged as an error", () =>
    Effect.forEach(ways, ({ fake, init, path }) =>
      Effect.gen(function* () {
        const running = yield* Deferred.make<void>()
        const interrupted = yield* Deferred.make<void>()
        const { call, logs } = yield* serveFake(
          fake(
            Deferred.succeed(running, undefined).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
            )
          )
        )
        const controller = new AbortController()
        yield* call(path, { ...init, signal: controller.signal }).pipe(Effect.exit, Effect.forkChild)
        yield* Deferred.await(running)
        controller.abort()
        yield* Deferred.await(interrupted)
        yield* Effect.sleep("50 millis")
        assert.deepStrictEqual(logs, [])
      })
    )
  )

  it.live("malformed HTTP and too large headers get a problem too", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake()
      const garbage = yield* raw(port, "garbage\r\n\r\n")
      assert.match(garbage, /^HTTP\/1\.1 400 /)
      assert.include(garbage, "urn:order-platform:invalid-request")
      const headers = yield* raw(
        port,
        `GET / HTTP/1.1\r\nhost: localhost\r\nx-a: ${"a".repeat(20_000)}\r\n\r\n`
      )
      assert.match(headers, /^HTTP\/1\.1 431 /)
      assert.include(headers, "urn:order-platform:too-large")
    })
  )
})
