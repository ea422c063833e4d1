import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, type Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { OpenApi } from "effect/http-api"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { OrdersUnavailable } from "../../../src/domain/OrderErrors.ts"
import * as OrderPayload from "../../../src/domain/OrderPayload.ts"
import { OrderHttpServer } from "../../../src/infrastructure/http/HttpServer.ts"
import { OrderRoutes } from "../../../src/infrastructure/http/OrderRoutes.ts"
import { makeOrderApi } from "../../../src/infrastructure/http/OrderApi.ts"
import { deadLetters, fakePlatform, idNumber } from "./FakePlatform.ts"
import { type Answer, serveFake } from "./TestServer.ts"

const id = idNumber(1)
const uuid = "ABCDEF00-0000-7000-8000-000000000001"

describe("orders", () => {
  it.live("an order is shown with its version as ETag, under its id in either case", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const answer = yield* call(`/orders/${id}`)
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers.get("etag"), '"3"')
      assert.deepStrictEqual(answer.json, {
        id,
        status: "FAILED",
        retryCount: 1,
        failureReason: "card declined",
        createdAt: "2026-11-22T12:00:00.000Z",
        updatedAt: "2026-11-22T12:00:02.000Z",
        dueAt: null,
        payload: { sku: "A" },
        priority: 3,
        maxRetries: 2,
        metadata: { tenant: "t" },
        correlationId: "c-1",
        version: 3,
        discardedAt: null
      })
      const pending = (yield* call(`/orders/${idNumber(2)}`)).json as { dueAt: unknown }
      assert.strictEqual(pending.dueAt, "2026-11-22T12:00:00.000Z")
      const unknown = yield* call(`/orders/${uuid}`)
      assert.strictEqual(unknown.status, 404)
      assert.include(unknown.text, uuid.toLowerCase())
      assert.include(unknown.text, "urn:order-platform:not-found")
      const bad = yield* call("/orders/42")
      assert.strictEqual(bad.status, 400)
      assert.include(bad.text, '"in":"path","path":["id"]')
    })
  )

  it.live("the timeline has every event and a sentence", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const { events, explanation } = (yield* call(`/orders/${id}/timeline`)).json as {
        events: ReadonlyArray<Record<string, unknown>>
        explanation: string
      }
      assert.deepStrictEqual(events[0], {
        at: "2026-11-22T12:00:00.000Z",
        event: "created",
        from: null,
        to: "PENDING",
        version: 1,
        attempt: 1,
        worker: null,
        reason: null,
        reasonCode: null,
        detail: null
      })
      assert.strictEqual(events.length, 3)
      assert.strictEqual(
        explanation,
        "failed permanently in attempt 1 of 2: card declined; it is in the dead letter queue"
      )
      assert.strictEqual((yield* call(`/orders/${uuid}/timeline`)).status, 404)
    })
  )
})

describe("dead letters", () => {
  it.live("pages follow their links, newest first, without repeating or missing an entry", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const seen: Array<string> = []
      let path: string | undefined = "/dlq?limit=2"
      for (let pages = 0; path !== undefined && pages < 10; pages++) {
        const answer: Answer = yield* call(path)
        assert.strictEqual(answer.status, 200, answer.text)
        seen.push(...(answer.json as ReadonlyArray<{ orderId: string }>).map(({ orderId }) => orderId))
        path = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1]
      }
      assert.deepStrictEqual(
        seen,
        deadLetters.map(({ orderId }) => orderId)
      )
      const all = yield* call("/dlq")
      assert.isNull(all.headers.get("link"))
      assert.deepStrictEqual((all.json as ReadonlyArray<unknown>)[0], {
        orderId: idNumber(5),
        reason: "card declined",
        reasonCode: "PERMANENT",
        retryCount: 1,
        failedAt: "2026-11-22T12:00:05.000Z"
      })
    })
  )

  it.live("wrong query parameters are refused at their names", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const wrong = [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1&limit=2",
        "cursor=x",
        "cursor=WyJ4IiwieSJd",
        "cursor="
      ]
      for (const query of [...wrong, "colour=red"]) {
        const answer = yield* call(`/dlq?${query}`)
        assert.strictEqual(answer.status, 400, query)
        assert.include(answer.text, `"in":"query","path":["${query.split("=")[0]}"]`, answer.text)
      }
      const both = (yield* call("/dlq?limit=0&cursor=x&a=1")).json as { errors: ReadonlyArray<unknown> }
      assert.strictEqual(both.errors.length, 3)
    })
  )

  it.live("an entry has its attempts; an order without one is a 409, an unknown one a 404", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const entry = (yield* call(`/dlq/${id}`)).json as { orderId: string; attempts: ReadonlyArray<unknown> }
      assert.strictEqual(entry.orderId, id)
      assert.strictEqual(entry.attempts.length, 1)
      for (const [path, init] of [
        ["/dlq/ID", {}],
        ["/dlq/ID/reprocess", { method: "POST" }]
      ] as const) {
        const notIn = yield* call(path.replace("ID", idNumber(2)), init)
        assert.strictEqual(notIn.status, 409)
        assert.include(notIn.text, "urn:order-platform:not-in-dlq")
        assert.strictEqual((yield* call(path.replace("ID", uuid), init)).status, 404)
        assert.strictEqual((yield* call(path.replace("ID", "x"), init)).status, 400)
      }
    })
  )

  it.live("reprocess answers 202, and hands the version of If-Match to the platform", () =>
    Effect.gen(function* () {
      const versions: Array<number | undefined> = []
      const { call } = yield* serveFake()
      const answer = yield* call(`/dlq/${id}/reprocess`, { method: "POST" })
      assert.strictEqual(answer.status, 202)
      assert.deepStrictEqual(answer.json, { orderId: id })
      const fenced = yield* serveFake({
        reprocess: (_, options) => {
          versions.push(options?.ifVersion)
          return Effect.fail(new OrdersUnavailable())
        }
      })
      for (const match of ['"3"', "*", "3", 'W/"3"']) {
        const { status } = yield* fenced.call(`/dlq/${id}/reprocess`, {
          method: "POST",
          headers: { "if-match": match }
        })
        assert.strictEqual(status, match === "3" || match.startsWith("W") ? 400 : 503)
      }
      assert.deepStrictEqual(versions, [3, undefined])
    })
  )
})

describe("health", () => {
  it.live("ready follows the store and the drain, live does not", () =>
    Effect.gen(function* () {
      const { call, drain } = yield* serveFake()
      assert.deepStrictEqual((yield* call("/health/ready")).json, { status: "ready" })
      yield* drain
      const draining = yield* call("/health/ready")
      assert.strictEqual(draining.status, 503)
      assert.include(draining.text, "shutting down")
      assert.isNotNull(draining.headers.get("retry-after"))
      assert.deepStrictEqual((yield* call("/health/live")).json, { status: "up" })
      const away = yield* serveFake({ ping: Effect.fail(new OrdersUnavailable()) })
      assert.include((yield* away.call("/health/ready")).text, "The database is away.")
      const hangs = yield* serveFake({ ping: Effect.never })
      assert.include((yield* hangs.call("/health/ready")).text, "within 2 seconds")
    })
  )
})

describe("the server", () => {
  it.live("says in one sentence that the port is taken", () =>
    Effect.gen(function* () {
      const { port } = yield* serveFake()
      const options = { host: "127.0.0.1", port, gracefulShutdownTimeout: 0 }
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(OrderHttpServer.layer(Layer.empty, options))))
      assert.isTrue(Exit.isFailure(exit))
      const error = yield* Effect.flip(
        Effect.scoped(Layer.build(OrderHttpServer.layer(Layer.empty, options)))
      )
      assert.strictEqual(
        error.message,
        `Cannot listen on 127.0.0.1:${port}: the port is taken by another process; choose another with server.port (SERVER_PORT).`
      )
    })
  )

  it.live("embedded in someone else's router, the routes leave all other paths alone", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        OrderRoutes.layer(OrderPayload.anyJsonObject),
        HttpRouter.add("GET", "/mine", HttpServerResponse.text("mine"))
      ).pipe(
        Layer.provide(
          Layer.succeed(
            OrderPlatform.service(OrderPayload.anyJsonObject),
            fakePlatform<Schema.JsonObject>().platform
          )
        ),
        Layer.provide(HttpServer.layerServices)
      )
      const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
      const call = (path: string, init?: RequestInit) =>
        Effect.promise(() => handler(new Request(`http://localhost${path}`, init)))
      const mine = yield* call("/mine")
      assert.isNull(mine.headers.get("x-correlation-id"))
      assert.isNull((yield* call("/nothing")).headers.get("content-type"))
      const submitted = yield* call("/orders", { method: "POST" })
      assert.strictEqual(submitted.status, 202)
      assert.isNotNull(submitted.headers.get("x-correlation-id"))
      assert.strictEqual((yield* call("/orders")).status, 405)
      yield* Effect.promise(dispose)
    })
  )

  it.live("the OpenAPI document is 3.1 and lists exactly the routes that are served", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const answer = yield* call("/openapi.json")
      const spec = answer.json as OpenApi.OpenAPISpec
      assert.match(spec.openapi, /^3\.1\./)
      assert.isNotEmpty(spec.info.title)
      assert.isNotEmpty(spec.info.version)
      assert.isNotEmpty(spec.info.description)
      const operations = Object.entries(spec.paths).flatMap(([path, operations]) =>
        Object.keys(operations).map((method) => `${method} ${path}`)
      )
      assert.deepStrictEqual(operations.sort(), [
        "get /dlq",
        "get /dlq/{orderId}",
        "get /health/live",
        "get /health/ready",
        "get /metrics",
        "get /orders/{id}",
        "get /orders/{id}/timeline",
        "post /dlq/{orderId}/reprocess",
        "post /orders"
      ])
      for (const operation of operations) {
        const [method = "", path = ""] = operation.split(" ")
        const { status } = yield* call(path.replace(/\{\w+\}/, id), { method: method.toUpperCase() })
        assert.isBelow(status, 300, operation)
      }
      const submit = spec.paths["/orders"]?.post
      assert.includeMembers(Object.keys(submit?.responses ?? {}), ["202", "400", "413", "415", "503"])
      assert.deepStrictEqual(Object.keys(submit?.responses[413]?.content ?? {}), ["application/problem+json"])
      assert.includeMembers(Object.keys(spec.paths["/dlq/{orderId}/reprocess"]?.post?.responses ?? {}), [
        "202",
        "400",
        "404",
        "409",
        "412",
        "503"
      ])
      assert.isNotTrue(submit?.requestBody?.required)
      assert.deepStrictEqual(Object.keys(submit?.requestBody?.content ?? {}), ["application/json"])
      // Every reference leads somewhere.
      for (const [, name] of answer.text.matchAll(/"#\/components\/([^"]+)"/g)) {
        const [section = "", key = ""] = (name ?? "").split("/")
        const components = spec.components as unknown as Record<string, Record<string, unknown>>
        assert.isDefined(components[section]?.[key], name)
      }
      assert.deepStrictEqual(OpenApi.fromApi(makeOrderApi(OrderPayload.anyJsonObject)), spec)
    })
  )
})
