import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import type { OpenApi } from "effect/http-api"
import { ApiKeys } from "../../../../src/infrastructure/http/edge/Caller.ts"
import { HealthRoutes } from "../../../../src/infrastructure/http/routes/HealthRoutes.ts"
import { BoundAddress, OrderHttpServer } from "../../../../src/infrastructure/http/server/HttpServer.ts"
import * as Memory from "../../../../src/infrastructure/memory/Memory.ts"
import { idNumber, pathOf } from "../FakePlatform.ts"
import { type Answer, serveFake } from "../TestServer.ts"

const shop = "the-secret-of-the-shop"
const till = "the-secret-of-the-till"
const ann = "the-secret-of-ann-the-operator"

const keys = Layer.succeed(ApiKeys, {
  clients: [
    { name: "shop", secret: Redacted.make(shop) },
    { name: "till", secret: Redacted.make(till) }
  ],
  operators: [{ name: "ann", secret: Redacted.make(ann) }]
})

const by = (secret: string, scheme = "Bearer") => ({ headers: { authorization: `${scheme} ${secret}` } })

interface Route {
  readonly method: string
  readonly path: string
  /** The security schemes that the document requires; none for an open route. */
  readonly schemes: ReadonlyArray<string>
}

/** Every route of the OpenAPI document. */
const routesOf = (spec: OpenApi.OpenAPISpec): ReadonlyArray<Route> =>
  Object.entries(spec.paths).flatMap(([path, operations]) =>
    Object.entries(operations as Record<string, OpenApi.OpenAPISpecOperation>).map(
      ([method, { security }]) => ({
        method: method.toUpperCase(),
        // Order 1 is final, so it cannot be run.
        path: pathOf(path),
        schemes: security.flatMap((requirement) => Object.keys(requirement))
      })
    )
  )

const expected = (path: string) =>
  path.startsWith("/health/") || path === "/openapi.json"
    ? []
    : [/^\/orders(\/|$)/.test(path) && !path.endsWith("/run") ? "clientKey" : "operatorKey"]

/** The bodies of the routes that require one. */
const requiredBodies: Readonly<Record<string, string>> = {
  "POST /orders/bulk": '{"orders":[]}',
  "POST /worker/pause": '{"reason":"bank down"}',
  [`PUT /groups/${idNumber(1)}`]: '{"maxRunning":5}'
}

const isProblem = (answer: Answer, status: number, type: string) => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
  assert.include(answer.text, `"urn:order-platform:${type}"`)
}

describe("a server with keys", () => {
  it.live(
    "every route except the open ones is 401 without a key or with a wrong one, and operator routes are 403 for a client",
    () =>
      Effect.gen(function* () {
        const { call } = yield* serveFake({}, keys)
        const routes = routesOf((yield* call("/openapi.json")).json as OpenApi.OpenAPISpec)
        assert.strictEqual((yield* call("/docs")).status, 200)
        assert.isAbove(routes.length, 8)
        for (const { method, path, schemes } of routes) {
          const what = `${method} ${path}`
          assert.deepStrictEqual(schemes, expected(path), what)
          if (schemes.length === 0) {
            assert.isBelow((yield* call(path, { method })).status, 300, what)
            assert.isBelow((yield* call(path, { method, ...by("wrong") })).status, 300, what)
            continue
          }
          const methods = method === "GET" ? ["GET", "HEAD"] : [method]
          for (const method of methods) {
            for (const headers of [
              {},
              { authorization: "" },
              by("").headers,
              by("x").headers,
              by(`${shop}x`).headers,
              by(shop.slice(0, -1)).headers,
              by(shop.toUpperCase()).headers,
              by(`${shop}, Bearer ${ann}`).headers,
              by(shop, "Basic").headers,
              { authorization: ann },
              { "x-api-key": ann },
              by("\u00fc".repeat(20)).headers
            ]) {
              const answer = yield* call(path, { method, headers })
              assert.strictEqual(answer.status, 401, `${what} ${JSON.stringify(headers)}`)
              assert.strictEqual(answer.headers.get("www-authenticate"), "Bearer")
              if (method !== "HEAD") isProblem(answer, 401, "unauthorized")
            }
            const required = requiredBodies[what]
            const body = required === undefined ? {} : { body: new TextEncoder().encode(required) }
            const byClient = yield* call(path, { method, ...by(shop), ...body })
            if (schemes[0] === "operatorKey") {
              assert.strictEqual(byClient.status, 403, what)
              if (method !== "HEAD") isProblem(byClient, 403, "forbidden")
              if (method !== "HEAD") assert.include(byClient.text, "requires the role operator")
            } else assert.isBelow(byClient.status, 300, what)
            const byOperator = yield* call(path, { method, ...by(ann), ...body })
            assert.isBelow(byOperator.status, 300, `${what} ${byOperator.text}`)
          }
        }
      })
  )

  it.live("every key is accepted with the scheme in any case, and none in the URL", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake({}, keys)
      for (const secret of [shop, till, ann]) {
        assert.strictEqual((yield* call(`/orders/${idNumber(1)}`, by(secret, "bearer "))).status, 200)
      }
      assert.strictEqual((yield* call(`/orders/${idNumber(1)}?access_token=${ann}`)).status, 401)
    })
  )

  it.live("a request without a key is not read and learns nothing about the server", () =>
    Effect.gen(function* () {
      const { call, submitted } = yield* serveFake({}, keys)
      const bad = { method: "POST", body: "{", headers: { "content-type": "text/plain" } }
      isProblem(yield* call("/orders", bad), 401, "unauthorized")
      isProblem(yield* call("/orders/not-an-id"), 401, "unauthorized")
      isProblem(yield* call("/dlq?colour=red"), 401, "unauthorized")
      isProblem(yield* call(`/dlq/${idNumber(2)}`, by(shop)), 403, "forbidden")
      assert.deepStrictEqual(submitted, [])
      // Routes of the public document are no secret.
      isProblem(yield* call("/nothing"), 404, "not-found")
      isProblem(yield* call("/dlq", { method: "PUT" }), 405, "method-not-allowed")
      assert.strictEqual((yield* call("/dlq", { method: "OPTIONS" })).status, 204)
    })
  )

  it.live("logs name the caller without its secret, and no response repeats a secret", () =>
    Effect.gen(function* () {
      const { call, logs } = yield* serveFake({ find: () => Effect.die("boom") }, keys)
      const answers = [
        yield* call(`/orders/${idNumber(1)}`, by(shop)),
        yield* call(`/orders/${idNumber(1)}`, by("wrong-secret-that-is-long")),
        yield* call("/dlq", by(till))
      ]
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [500, 401, 403]
      )
      assert.deepStrictEqual(
        logs.map(({ annotations }) => annotations["caller"]),
        ["shop"]
      )
      const output = JSON.stringify([logs, answers.map(({ headers, text }) => [[...headers], text])])
      assert.notMatch(output, /the-secret|wrong-secret/)
    })
  )

  it.live("a worker's metrics need an operator's key, its health needs none", () =>
    Effect.gen(function* () {
      const services = yield* Layer.build(
        OrderHttpServer.layer(HealthRoutes.layer, {
          host: "127.0.0.1",
          port: 0,
          gracefulShutdownTimeout: "1 second"
        }).pipe(Layer.provide(Layer.mergeAll(Memory.layerStores, keys)))
      )
      const address = Context.get(services, BoundAddress)
      const status = (path: string, init?: RequestInit) =>
        Effect.promise(async () => {
          const response = await fetch(
            `http://127.0.0.1:${"port" in address ? address.port : 0}${path}`,
            init
          )
          await response.text()
          return response.status
        })
      assert.deepStrictEqual(
        [
          yield* status("/metrics"),
          yield* status("/metrics", by(shop)),
          yield* status("/metrics", by(ann)),
          yield* status("/health/live"),
          yield* status("/health/ready")
        ],
        [401, 403, 200, 200, 200]
      )
    })
  )
})

describe("a server without keys", () => {
  it.live("is open and ignores keys that are sent", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      for (const init of [{}, by("anything")]) {
        assert.strictEqual((yield* call("/dlq", init)).status, 200)
        assert.strictEqual((yield* call("/metrics", init)).status, 200)
      }
    })
  )
})
