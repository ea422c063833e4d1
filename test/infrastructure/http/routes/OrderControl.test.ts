import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Redacted } from "effect"
import type { OrderId } from "../../../../src/domain/OrderId.ts"
import { ApiKeys } from "../../../../src/infrastructure/http/edge/Caller.ts"
import { newOrder } from "../../../TestOrders.ts"
import { failedOrder, idNumber } from "../FakePlatform.ts"
import { type Answer, serveFake, serveMemory, serveMemoryWith } from "../TestServer.ts"

const unknown = idNumber(77)

const post = (body?: string, headers: Record<string, string> = {}) => ({
  method: "POST",
  ...(body === undefined ? {} : { body }),
  headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers }
})

const isProblem = (answer: Answer, status: number, type: string) => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
  assert.include(answer.text, `"urn:order-platform:${type}"`)
}

const stored = Effect.gen(function* () {
  const server = yield* serveMemory
  const order = newOrder()
  yield* server.stores.intake.submit([order])
  const read = Effect.map(server.call(`/orders/${order.id}`), ({ json }) => json as Record<string, unknown>)
  return { ...server, id: order.id, read }
})

describe("POST /orders/{id}/cancel", () => {
  it.live("passes the reason and the version of If-Match to the platform; its body is optional", () =>
    Effect.gen(function* () {
      const given: Array<unknown> = []
      const { call } = yield* serveFake({
        cancel: (id, options) => {
          given.push([id, options])
          return Effect.succeed(failedOrder.order)
        }
      })
      const path = `/orders/${idNumber(1)}/cancel`
      const answer = yield* call(path, post())
      assert.strictEqual(answer.status, 202, answer.text)
      assert.deepStrictEqual(answer.json, { orderId: idNumber(1) })
      yield* call(path, post("{}", { "if-match": "*" }))
      yield* call(path, post('{"reason":"fraud"}', { "if-match": '"3"' }))
      const id: OrderId = idNumber(1)
      assert.deepStrictEqual(given, [
        [id, {}],
        [id, {}],
        [id, { ifVersion: 3, reason: "fraud" }]
      ])
    })
  )

  it.live("refuses a wrong body, id, header and media type, and does nothing", () =>
    Effect.gen(function* () {
      const { call, id, read } = yield* stored
      const path = `/orders/${id}/cancel`
      for (const [body, where] of [
        ["[]", ""],
        ["{", ""],
        ['{"reason":1}', "reason"],
        ['{"reason":null}', "reason"],
        ['{"reason":"a\\u0000"}', "reason"],
        ['{"why":"x"}', "why"]
      ] as const) {
        const answer = yield* call(path, post(body))
        isProblem(answer, 400, "invalid-request")
        const { errors } = answer.json as { errors: ReadonlyArray<{ path: ReadonlyArray<string> }> }
        assert.deepStrictEqual(
          errors.map(({ path }) => path.join(".")),
          [where]
        )
      }
      isProblem(yield* call(path, post(undefined, { "if-match": "3" })), 400, "invalid-request")
      isProblem(yield* call("/orders/x/cancel", post()), 400, "invalid-request")
      isProblem(
        yield* call(path, post("{}", { "content-type": "text/plain" })),
        415,
        "unsupported-media-type"
      )
      isProblem(yield* call(path, post(JSON.stringify({ reason: "x".repeat(70_000) }))), 413, "too-large")
      isProblem(yield* call(path, post("{}", { accept: "text/html" })), 406, "not-acceptable")
      isProblem(yield* call(`/orders/${unknown}/cancel`, post()), 404, "not-found")
      assert.strictEqual((yield* read)["version"], 1)
    })
  )

  it.live(
    "ends a waiting order as FAILED without a dead letter, and may be repeated; a PROCESSED order is a 409",
    () =>
      Effect.gen(function* () {
        const { call, id, read, stores } = yield* stored
        isProblem(
          yield* call(`/orders/${id}/cancel`, post(undefined, { "if-match": '"2"' })),
          412,
          "version-mismatch"
        )
        const answer = yield* call(`/orders/${id}/cancel`, post(undefined, { "if-match": '"1"' }))
        assert.deepStrictEqual([answer.status, answer.json], [202, { orderId: id }])
        const order = yield* read
        assert.deepInclude(order, {
          status: "FAILED",
          failureReason: "Cancelled.",
          retryCount: 0,
          version: 2,
          dueAt: null
        })
        assert.isString(order["discardedAt"])
        assert.deepStrictEqual((yield* call("/dlq")).json, [])
        isProblem(yield* call(`/dlq/${id}/reprocess`, post()), 409, "not-in-dlq")
        const { events } = (yield* call(`/orders/${id}/timeline`)).json as {
          events: ReadonlyArray<Record<string, unknown>>
        }
        assert.deepInclude(events[1], { event: "cancelled", reasonCode: "CANCELLED", reason: "Cancelled." })
        const again = yield* call(`/orders/${id}/cancel`, post(JSON.stringify({ reason: "second" })))
        assert.deepStrictEqual([again.status, again.json], [202, { orderId: id }])
        assert.deepStrictEqual(yield* read, order)
        const done = newOrder()
        yield* stores.intake.submit([done])
        const { orders } = yield* stores.work.claim({ worker: "w", lease: Duration.minutes(1), max: 1 })
        yield* stores.work.settle(orders.map((each) => ({ order: each, outcome: { event: "completed" } })))
        const late = yield* call(`/orders/${done.id}/cancel`, post())
        isProblem(late, 409, "conflict")
        assert.deepInclude(late.json, { orderId: done.id, orderStatus: "PROCESSED" })
      })
  )

  it.live("of a running order may be repeated", () =>
    Effect.gen(function* () {
      const { call, id, read, stores } = yield* stored
      yield* stores.work.claim({ worker: "w", lease: Duration.minutes(1), max: 1 })
      for (const reason of ["first", "second"]) {
        const { status } = yield* call(`/orders/${id}/cancel`, post(JSON.stringify({ reason })))
        assert.strictEqual(status, 202)
      }
      assert.strictEqual((yield* read)["status"], "PROCESSING")
      const { explanation } = (yield* call(`/orders/${id}/timeline`)).json as { explanation: string }
      assert.include(explanation, "a cancel was requested (first)")
    })
  )
})

describe("POST /orders/{id}/run", () => {
  it.live("makes a scheduled order due, once, and records who asked", () =>
    Effect.gen(function* () {
      const keys = Layer.succeed(ApiKeys, {
        clients: [],
        operators: [{ name: "ann", secret: Redacted.make("the-secret-of-ann") }]
      })
      const { call, stores } = yield* serveMemoryWith(keys)
      const order = newOrder({ notBefore: DateTime.add(yield* DateTime.now, { hours: 1 }) })
      yield* stores.intake.submit([order])
      const headers = { authorization: "Bearer the-secret-of-ann", "x-correlation-id": "c-9" }
      const run = (id: string) => call(`/orders/${id}/run`, { method: "POST", headers })
      const answer = yield* run(order.id)
      assert.deepStrictEqual([answer.status, answer.json], [202, { orderId: order.id }])
      const again = yield* run(order.id)
      isProblem(again, 409, "conflict")
      assert.deepInclude(again.json, { orderStatus: "PENDING" })
      isProblem(yield* run(unknown), 404, "not-found")
      isProblem(yield* run("x"), 400, "invalid-request")
      const audit = (yield* call("/audit", { headers })).json as ReadonlyArray<Record<string, unknown>>
      assert.strictEqual(audit.length, 1)
      const { at, ...entry } = audit[0] ?? {}
      assert.isString(at)
      assert.deepStrictEqual(entry, {
        by: "ann",
        action: "run",
        subject: order.id,
        reason: null,
        correlationId: "c-9"
      })
    })
  )
})
