import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { OpenApi } from "effect/http-api"
import { OrderPlatform } from "../../../../src/application/OrderPlatform.ts"
import { OrdersUnavailable, OrderVersionMismatch } from "../../../../src/domain/OrderErrors.ts"
import type { OrderId } from "../../../../src/domain/OrderId.ts"
import * as OrderPayload from "../../../../src/domain/OrderPayload.ts"
import { OrderHttpServer } from "../../../../src/infrastructure/http/server/HttpServer.ts"
import { OrderRoutes } from "../../../../src/infrastructure/http/routes/OrderRoutes.ts"
import { makeOrderApi } from "../../../../src/contract/OrderApi.ts"
import { deadLetters, failedOrder, fakePlatform, idNumber, pathOf } from "../FakePlatform.ts"
import { type Answer, serveFake, serveMemory } from "../TestServer.ts"

const id = idNumber(1)
const uuid = "ABCDEF00-0000-7000-8000-000000000001"

describe("orders", () => {
  it.live("an order has its version as ETag, with its id in either case", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const answer = yield* call(`/orders/${id}`)
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers.get("etag"), '"3"')
      assert.deepStrictEqual(answer.json, {
        id,
        status: "FAILED",
        type: "parcel",
        orderingKey: "dock-1",
        group: "north",
        retryCount: 1,
        failureReason: "card declined",
        reasonCode: "PERMANENT",
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

  it.live("the timeline has every event and an explanation", () =>
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
      assert.strictEqual(explanation, "because")
      assert.strictEqual((yield* call(`/orders/${uuid}/timeline`)).status, 404)
    })
  )
})

describe("dead letters", () => {
  it.live("pages follow their links, newest first, with every entry once", () =>
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
        failedAt: "2026-11-22T12:00:05.000Z",
        fingerprint: "698a5f3c220e049f"
      })
    })
  )

  it.live("wrong query parameters are refused by name", () =>
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

  it.live("reprocess answers 202 and passes the version of If-Match to the platform", () =>
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
      const isTag = { "3": false, '"3", *': false, '"3': false, '"3"': true, "*": true } as const
      for (const [match, taken] of Object.entries(isTag)) {
        const { status } = yield* fenced.call(`/dlq/${id}/reprocess`, {
          method: "POST",
          headers: { "if-match": match }
        })
        assert.strictEqual(status, taken ? 503 : 400, match)
      }
      assert.deepStrictEqual(versions, [3, undefined])
    })
  )

  it.live("If-Match holds if one of its tags is the order's version, and a weak tag never matches", () =>
    Effect.gen(function* () {
      const { call, failed } = yield* serveMemory
      const path = `/dlq/${yield* failed}/reprocess`
      const reprocess = (match: string) => call(path, { method: "POST", headers: { "if-match": match } })
      // The order has version 3.
      for (const match of ['W/"3"', '"2", "4"', '"2", W/"3"', '"03"', '"", "x,y"', '"0"']) {
        const answer = yield* reprocess(match)
        assert.strictEqual(answer.status, 412, match)
        assert.include(answer.text, "urn:order-platform:version-mismatch")
      }
      assert.strictEqual((yield* reprocess(', "1", W/"2" ,"\u00E9",,"3" ,')).status, 202)
      assert.strictEqual((yield* reprocess('"1", "4"')).status, 409)
    })
  )
})

describe("If-Match with several tags", () => {
  /** A platform whose order changes its version between a read and the following call, this many times. */
  const changing = (times: number) => {
    const calls: Array<unknown> = []
    let version = 3
    const change = (id: OrderId, options: { readonly ifVersion?: number } = {}) => {
      calls.push(options.ifVersion)
      if (calls.length <= times) version++
      return options.ifVersion === version
        ? Effect.succeed(failedOrder.order)
        : Effect.fail(new OrderVersionMismatch({ orderId: id }))
    }
    const find = () => Effect.sync(() => ({ ...failedOrder.order, version }))
    return { calls, platform: { find, reprocess: change, discard: change, cancel: change } }
  }

  it.live.each([
    ["POST", `/dlq/${id}/reprocess`, 202],
    ["DELETE", `/dlq/${id}`, 204],
    ["POST", `/orders/${id}/cancel`, 202]
  ] as const)("holds for each tag while the order changes: %s %s", ([method, path, success]) =>
    Effect.gen(function* () {
      const ask = Effect.fnUntraced(function* (times: number, match: string) {
        const { calls, platform } = changing(times)
        const { call } = yield* serveFake(platform)
        const { status } = yield* call(path, { method, headers: { "if-match": match } })
        return { calls, status }
      })
      assert.deepStrictEqual(yield* ask(1, '"3", "4"'), { status: success, calls: [3, 4] })
      assert.deepStrictEqual(yield* ask(2, '"5", "3", "4"'), { status: success, calls: [3, 4, 5] })
      // The order has a version that is not listed: one more read, and no further attempt.
      assert.deepStrictEqual(yield* ask(2, '"3", "4"'), { status: 412, calls: [3, 4, 0] })
      assert.deepStrictEqual(yield* ask(9, '"1", "2"'), { status: 412, calls: [0] })
      // A single tag needs no read and one attempt.
      assert.deepStrictEqual(yield* ask(9, '"3"'), { status: 412, calls: [3] })
    })
  )
})

describe("discard", () => {
  it.live("answers 204 without a body and passes reason and version to the platform", () =>
    Effect.gen(function* () {
      const given: Array<unknown> = []
      const { call } = yield* serveFake({
        discard: (id, options) => {
          given.push([id, options])
          return Effect.succeed(failedOrder.order)
        }
      })
      const discard = (query = "", headers = {}) =>
        call(`/dlq/${id}${query}`, { method: "DELETE", headers: { "x-correlation-id": "c-7", ...headers } })
      const operator = { by: null, correlationId: "c-7" }
      const answer = yield* discard()
      assert.strictEqual(answer.status, 204)
      assert.strictEqual(answer.text, "")
      yield* discard("?reason=test%20data%21", { "if-match": '"3"' })
      yield* discard("?reason=", { "if-match": "*" })
      yield* discard("?reason=%20")
      assert.deepStrictEqual(given, [
        [id, { operator }],
        [id, { ifVersion: 3, reason: "test data!", operator }],
        [id, { operator }],
        [id, { operator }]
      ])
      for (const query of ["?reason=a&reason=b", "?colour=red"])
        assert.strictEqual((yield* discard(query)).status, 400)
      assert.strictEqual((yield* discard("", { "if-match": "3" })).status, 400)
      assert.strictEqual(given.length, 4)
    })
  )

  it.live("removes the order from the dead letter queue permanently, with the reason in its timeline", () =>
    Effect.gen(function* () {
      const { call, failed } = yield* serveMemory
      const order = yield* failed
      const path = `/dlq/${order}`
      const mismatch = yield* call(path, { method: "DELETE", headers: { "if-match": '"2"' } })
      assert.strictEqual(mismatch.status, 412)
      assert.include(mismatch.text, "urn:order-platform:version-mismatch")
      const reason = `gone\u0000 ${"x".repeat(3000)}`
      const discarded = yield* call(`${path}?reason=${encodeURIComponent(reason)}`, {
        method: "DELETE",
        headers: { "if-match": '"3"' }
      })
      assert.strictEqual(discarded.status, 204, discarded.text)
      const { discardedAt, status, version } = (yield* call(`/orders/${order}`)).json as Record<
        string,
        unknown
      >
      assert.deepStrictEqual([status, version, typeof discardedAt], ["FAILED", 4, "string"])
      const { events } = (yield* call(`/orders/${order}/timeline`)).json as {
        events: ReadonlyArray<Record<string, unknown>>
      }
      assert.deepStrictEqual(
        [events[3]?.["event"], events[3]?.["reason"]],
        ["discarded", reason.replace("\u0000", "\uFFFD").slice(0, 2000)]
      )
      for (const init of [{ method: "DELETE" }, {}]) {
        const answer = yield* call(path, init)
        assert.strictEqual(answer.status, 409)
        assert.include(answer.text, "urn:order-platform:not-in-dlq")
      }
      assert.strictEqual((yield* call(`/dlq/${uuid}`, { method: "DELETE" })).status, 404)
      assert.strictEqual((yield* call("/dlq/x", { method: "DELETE" })).status, 400)
      assert.deepStrictEqual((yield* call("/dlq")).json, [])
    })
  )
})

describe("stats", () => {
  it.live("have their time and mark estimates", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      assert.deepStrictEqual((yield* call("/stats")).json, {
        byStatus: { PENDING: 1, PROCESSING: 0, PROCESSED: 20_000, FAILED: 1 },
        estimated: ["PROCESSED"],
        retrying: 0,
        deadLetters: 1,
        oldestDueAgeSeconds: 1.5,
        createdPerSecond: 0.2,
        completedPerSecond: 12.3,
        asOf: "2026-11-22T12:00:03.000Z",
        truncated: false
      })
      const away = yield* serveFake({ stats: Effect.fail(new OrdersUnavailable()) })
      assert.strictEqual((yield* away.call("/stats")).status, 503)
    })
  )
})

describe("health", () => {
  it.live("ready depends on the store and the drain, live does not", () =>
    Effect.gen(function* () {
      const { call, drain } = yield* serveFake()
      assert.deepStrictEqual((yield* call("/health/ready")).json, { status: "ready" })
      yield* drain
      const draining = yield* call("/health/ready")
      assert.strictEqual(draining.status, 503)
      assert.include(draining.text, "shutting down")
      assert.isNotNull(draining.headers.get("retry-after"))
      assert.deepStrictEqual((yield* call("/health/live")).json, { status: "up" })
      const away = yield* serveFake({
        ping: Effect.fail(new OrdersUnavailable({ message: "The database is away." }))
      })
      assert.include((yield* away.call("/health/ready")).text, "The database is away.")
      const hangs = yield* serveFake({ ping: Effect.never })
      assert.include((yield* hangs.call("/health/ready")).text, "within 2 seconds")
    })
  )
})

describe("the server", () => {
  it.live("refuses a taken port with one sentence", () =>
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
        `Cannot listen on 127.0.0.1:${port}: the port is in use by another process; choose another with server.port (SERVER_PORT).`
      )
    })
  )

  it.live("routes in an app's own router leave all other paths alone", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        OrderRoutes.layer(OrderPayload.anyJsonObject),
        HttpRouter.add("GET", "/mine", HttpServerResponse.text("mine"))
      ).pipe(
        Layer.provide(
          Layer.succeed(
            OrderPlatform.service(OrderPayload.anyJsonObject),
            fakePlatform<typeof OrderPayload.anyJsonObject.Payloads>().platform
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
      assert.strictEqual((yield* call("/health/live", { method: "POST" })).status, 405)
      yield* Effect.promise(dispose)
    })
  )

  it.live("serves an OpenAPI 3.1 document that lists exactly its routes", () =>
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
        "delete /dlq/{orderId}",
        "delete /groups/{group}",
        "get /audit",
        "get /dlq",
        "get /dlq/groups",
        "get /dlq/{orderId}",
        "get /groups",
        "get /health/live",
        "get /health/ready",
        "get /metrics",
        "get /orders",
        "get /orders/{id}",
        "get /orders/{id}/events",
        "get /orders/{id}/timeline",
        "get /stats",
        "get /worker",
        "post /dlq/groups/{fingerprint}/fixed",
        "post /dlq/{orderId}/reprocess",
        "post /orders",
        "post /orders/bulk",
        "post /orders/{id}/cancel",
        "post /orders/{id}/run",
        "post /worker/pause",
        "post /worker/resume",
        "put /groups/{group}"
      ])
      const bodies: Readonly<Record<string, string>> = {
        "post /orders/bulk": '{"orders":[]}',
        "post /worker/pause": '{"reason":"bank down"}',
        "put /groups/{group}": '{"maxRunning":5}'
      }
      for (const operation of operations) {
        const [method = "", path = ""] = operation.split(" ")
        const required = bodies[operation]
        const body = required === undefined ? {} : { body: new TextEncoder().encode(required) }
        const { status } = yield* call(pathOf(path), {
          method: method.toUpperCase(),
          ...body
        })
        assert.isBelow(status, 300, operation)
      }
      const submit = spec.paths["/orders"]?.post
      assert.includeMembers(Object.keys(submit?.responses ?? {}), ["202", "400", "413", "415", "422", "503"])
      const many = spec.paths["/orders/bulk"]?.post
      assert.isTrue(many?.requestBody?.required)
      for (const operation of [submit, many]) {
        assert.include(JSON.stringify(operation?.parameters), '"Idempotency-Key"')
        assert.include(JSON.stringify(operation?.responses[202]), "Idempotency-Replayed")
        assert.include(JSON.stringify(operation?.responses[503]), "Overloaded")
      }
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
      // Every reference resolves.
      for (const [, name] of answer.text.matchAll(/"#\/components\/([^"]+)"/g)) {
        const [section = "", key = ""] = (name ?? "").split("/")
        const components = spec.components as unknown as Record<string, Record<string, unknown>>
        assert.isDefined(components[section]?.[key], name)
      }
      assert.deepStrictEqual(OpenApi.fromApi(makeOrderApi(OrderPayload.anyJsonObject)), spec)
    })
  )
})
