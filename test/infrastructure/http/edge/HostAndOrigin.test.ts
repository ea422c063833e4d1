import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { ApiKeys } from "../../../../src/infrastructure/http/edge/Caller.ts"
import { LoopbackNamesOnly } from "../../../../src/infrastructure/http/edge/HostAndOrigin.ts"
import { CorsOrigins } from "../../../../src/infrastructure/http/edge/ResponseHeaders.ts"
import { openPageWith, skipWithoutBrowser } from "../../../Browser.ts"
import { raw } from "../../../RawHttp.ts"
import { serveFake, serveMemoryWith } from "../TestServer.ts"
import { isWholeForm } from "../../../WholeForm.ts"

const keys = Layer.succeed(ApiKeys, {
  clients: [{ name: "shop", secret: Redacted.make("the-secret-of-the-shop") }],
  operators: []
})

/** Sends a request with these header lines; returns the status and the whole response. */
const send = (port: number, request: string, ...lines: ReadonlyArray<string>) =>
  Effect.map(
    raw(port, [`${request} HTTP/1.1`, ...lines, "connection: close", "", ""].join("\r\n")),
    (response) => ({ response, status: Number(response.slice(9, 12)) })
  )

const isForbidden = (response: string, what: string) => {
  assert.match(response, /^HTTP\/1\.1 403 /, what)
  assert.include(response, `"type":"urn:order-platform:forbidden"`, what)
  assert.match(response, /content-type: application\/problem\+json/i, what)
}

describe("the Host of a request to a server without keys", () => {
  it.live("may be any loopback name in any spelling", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake()
      for (const name of [
        "localhost",
        "LocalHost",
        "localhost.",
        "shop.localhost",
        "a.b.LOCALHOST.",
        "127.0.0.1",
        "127.255.0.9",
        "[::1]",
        "[0:0:0:0:0:0:0:1]"
      ]) {
        for (const host of [name, `${name}:${port}`, `${name}:1`]) {
          const { status } = yield* send(port, "GET /orders", `Host: ${host}`)
          assert.strictEqual(status, 200, host)
        }
      }
    })
  )

  it.live("may be no other name, on any route with any method", () =>
    Effect.gen(function* () {
      const { logs, port, submitted } = yield* serveFake()
      for (const host of [
        "evil.test",
        "evil.test:80",
        `evil.test:${port}`,
        "localhost.evil.test",
        "notlocalhost",
        "127.0.0.1.evil.test",
        "128.0.0.1",
        "192.168.0.1",
        "0.0.0.0",
        "[::]",
        "[::2]",
        "[::ffff:192.168.0.1]",
        "localhost@evil.test",
        "evil.test/localhost",
        "evil.test#.localhost",
        "evil.test\\.localhost",
        "localhost evil.test",
        "localhost, evil.test",
        "localhost:x",
        ""
      ]) {
        const { response } = yield* send(port, "GET /orders", `Host: ${host}`)
        isForbidden(response, host)
      }
      for (const request of [
        "POST /orders",
        "OPTIONS /orders",
        "PUT /orders",
        "GET /nothing",
        "GET /docs",
        "GET /openapi.json",
        "GET /health/live"
      ]) {
        const { response } = yield* send(port, request, "Host: evil.test", "X-Forwarded-Host: localhost")
        isForbidden(response, request)
        assert.match(response, /x-correlation-id: /i, request)
      }
      assert.lengthOf(submitted, 0)
      assert.lengthOf(logs, 0)
    })
  )

  it.live("is that of the target if the target is an absolute URL", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake()
      const { response } = yield* send(port, "GET http://evil.test/orders", "Host: localhost")
      isForbidden(response, "target")
      assert.strictEqual((yield* send(port, "GET http://localhost/orders", "Host: evil.test")).status, 200)
    })
  )

  it.live("may be missing in HTTP/1.0, but not in HTTP/1.1", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake()
      assert.match(yield* raw(port, "GET /health/live HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 /)
      assert.strictEqual((yield* send(port, "GET /orders")).status, 400)
    })
  )

  it.live("may be any name if the server has keys or listens for other machines", () =>
    Effect.gen(function* () {
      const withKeys = yield* serveFake({}, keys)
      const forOthers = yield* serveFake({}, Layer.succeed(LoopbackNamesOnly, false))
      assert.strictEqual((yield* send(withKeys.port, "GET /health/live", "Host: evil.test")).status, 200)
      assert.strictEqual((yield* send(withKeys.port, "GET /orders", "Host: evil.test")).status, 401)
      assert.strictEqual((yield* send(forOthers.port, "GET /orders", "Host: orders.example")).status, 200)
    })
  )
})

describe("the Origin of a call that changes something", () => {
  const own = "http://localhost:8080"

  it.live("must be the server's own, else the call is refused and nothing is stored", () =>
    Effect.gen(function* () {
      const { port, submitted } = yield* serveFake({}, Layer.succeed(CorsOrigins, ["https://shop.example"]))
      const post = (origin: string, host = "localhost:8080") =>
        send(port, "POST /orders", `Host: ${host}`, `Origin: ${origin}`, "X-Forwarded-Host: evil.test")
      for (const origin of [
        "null",
        "",
        "*",
        "https://localhost:8080",
        "http://localhost:8081",
        "http://localhost",
        "http://localhost.:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://evil.localhost:8080",
        "http://evil.test",
        "http://evil.test:8080",
        `${own}.evil.test`,
        `${own}@evil.test`,
        `http://evil.test@localhost:8080`,
        `${own}/`,
        `${own} http://evil.test`,
        `${own}, http://evil.test`,
        "localhost:8080",
        "file://",
        "https://shop.example.",
        "http://shop.example"
      ])
        isForbidden((yield* post(origin)).response, origin)
      isForbidden((yield* post("https://localhost", "localhost")).response, "https on loopback")
      assert.lengthOf(submitted, 0)
      for (const [origin, host] of [
        [own, "localhost:8080"],
        [own, "LOCALHOST:8080"],
        ["http://localhost", "localhost:80"],
        ["http://localhost.:8080", "localhost.:8080"],
        ["http://[::1]:8080", "[::1]:8080"],
        ["https://shop.example", "localhost:8080"]
      ] as const)
        assert.strictEqual((yield* post(origin, host)).status, 202, `${origin} to ${host}`)
      assert.lengthOf(submitted, 6)
    })
  )

  it.live("may be missing, and does not matter for reads and preflights", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake()
      const evil = ["Host: localhost", "Origin: http://evil.test"]
      assert.strictEqual((yield* send(port, "POST /orders", "Host: localhost")).status, 202)
      for (const request of ["GET /orders", "HEAD /orders", "OPTIONS /orders"]) {
        const { response, status } = yield* send(port, request, ...evil)
        assert.isBelow(status, 300, request)
        assert.notMatch(response, /access-control-allow-origin/i)
      }
    })
  )

  it.live("is checked on every route that changes something, also with a key", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake({}, keys)
      const key = "Authorization: Bearer the-secret-of-the-shop"
      for (const request of ["POST /orders", "POST /orders/bulk", "DELETE /dlq/x", "POST /dlq/x/reprocess"]) {
        const { response } = yield* send(
          port,
          request,
          "Host: orders.example",
          "Origin: http://evil.test",
          key
        )
        isForbidden(response, request)
      }
    })
  )

  it.live("may be https behind a proxy that terminates TLS on the default port", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake({}, keys)
      const key = "Authorization: Bearer the-secret-of-the-shop"
      const post = (host: string) =>
        send(port, "POST /orders", `Host: ${host}`, "Origin: https://orders.example", key)
      assert.strictEqual((yield* post("orders.example")).status, 202)
      isForbidden((yield* post("orders.example:8080")).response, "another port")
      isForbidden((yield* post("other.example")).response, "another name")
    })
  )
})

describe.runIf(isWholeForm)("a page in a browser", { timeout: 120_000 }, () => {
  // Every name below .test resolves to this machine, as an attacker's name may. Newer browsers ask the user before a
  // page may call this machine; older ones, and users who agree, are protected only by the server's checks.
  const openPage = openPageWith(
    "--host-resolver-rules=MAP *.test 127.0.0.1",
    "--disable-features=LocalNetworkAccessChecks"
  )

  /** Opens a page of another origin, on a separate server or at our address. */
  const pageAt = Effect.fnUntraced(function* (url: string) {
    const page = yield* openPage
    yield* Effect.promise(() =>
      page.route(url, (route) => route.fulfill({ contentType: "text/html", body: "<h1>A page</h1>" }))
    )
    yield* Effect.promise(() => page.goto(url))
    return page
  })

  /** What a page can read of a call: status and text, or that the browser blocks it. */
  interface Seen {
    readonly status: number
    readonly text: string
  }

  it.live(
    "of another origin cannot submit an order to a server without keys, unless its origin is set",
    (context) =>
      Effect.gen(function* () {
        skipWithoutBrowser(context)
        const origin = "http://evil.test:9"
        const page = yield* pageAt(`${origin}/page`)
        const callFrom = Effect.fnUntraced(function* (settings: Layer.Layer<never>) {
          const server = yield* serveMemoryWith(settings)
          const url = `http://127.0.0.1:${server.port}/orders`
          const seen = yield* Effect.promise(() =>
            page.evaluate(async (url): Promise<ReadonlyArray<Seen | string>> => {
              // Simple requests: the browser sends them without a preflight.
              const simple = { method: "POST", body: "{}", headers: { "content-type": "text/plain" } }
              const calls = [{ method: "POST" }, simple, { method: "POST", mode: "no-cors" } as const]
              return Promise.all(
                calls.map(async (init) => {
                  try {
                    const response = await fetch(url, init)
                    return { status: response.status, text: await response.text() }
                  } catch {
                    return "not shown"
                  }
                })
              )
            }, url)
          )
          const { orders } = (yield* server.call("/orders")).json as { orders: ReadonlyArray<unknown> }
          return { seen, stored: orders.length }
        })
        const refused = yield* callFrom(Layer.empty)
        assert.deepStrictEqual(refused.seen, ["not shown", "not shown", "not shown"])
        assert.strictEqual(refused.stored, 0)
        const { seen, stored } = yield* callFrom(Layer.succeed(CorsOrigins, [origin]))
        assert.strictEqual(stored, 2)
        assert.deepInclude(seen[0], { status: 202 })
        // text/plain is not JSON, and the page may read the refusal.
        assert.deepInclude(seen[1], { status: 415 })
      }),
    120_000
  )

  it.live(
    "whose name resolves to this machine (DNS rebinding) can neither read nor submit",
    (context) =>
      Effect.gen(function* () {
        skipWithoutBrowser(context)
        const callFrom = Effect.fnUntraced(function* (settings: Layer.Layer<never>) {
          const server = yield* serveMemoryWith(settings)
          const page = yield* pageAt(`http://evil.test:${server.port}/page`)
          const statuses = yield* Effect.promise(() =>
            page.evaluate(async () => {
              const read = await fetch("/orders")
              const submit = await fetch("/orders", { method: "POST" })
              return [read.status, submit.status]
            })
          )
          const { orders } = (yield* server.call("/orders")).json as { orders: ReadonlyArray<unknown> }
          return { statuses, stored: orders.length }
        })
        assert.deepStrictEqual(yield* callFrom(Layer.empty), { statuses: [403, 403], stored: 0 })
        // The control: without the check the attack works.
        assert.deepStrictEqual(yield* callFrom(Layer.succeed(LoopbackNamesOnly, false)), {
          statuses: [200, 202],
          stored: 1
        })
      }),
    120_000
  )
})
