import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import { problemExamples } from "../../src/contract/openapi/ProblemExamples.ts"
import { OrderClient } from "../../src/contract/OrderClient.ts"
import { type Problem, Problems } from "../../src/contract/Problems.ts"
import { BodyBudgetExhausted } from "../../src/contract/RequestErrors.ts"
import * as OrderErrors from "../../src/domain/OrderErrors.ts"
import { Overloaded } from "../../src/domain/OrderErrors.ts"
import { anyJsonObject } from "../../src/domain/OrderPayload.ts"
import { serveFake } from "../infrastructure/http/TestServer.ts"

// Clients depend on these.
const types = `
  400 invalid-request
  401 unauthorized
  403 forbidden
  404 not-found
  405 method-not-allowed
  406 not-acceptable
  409 conflict
  409 not-in-dlq
  412 version-mismatch
  413 too-large
  415 unsupported-media-type
  422 idempotency-mismatch
  429 overloaded
  500 internal
  503 overloaded
  503 unavailable
`

const encoded = Object.entries(Problems).map(([name, schema]) => ({
  name,
  schema,
  problem: problemExamples[name]?.value as Problem
}))

describe("the table of problem types", () => {
  it("has every type of the contract with its status, and no other", () => {
    const rows = encoded.map(({ problem: { status, type } }) => `${status} ${type.split(":").at(-1)}`)
    assert.deepStrictEqual([...new Set(rows)].sort(), types.trim().split(/\n\s*/))
  })

  it("decodes every problem as the error it was encoded from, and encodes that to the same problem", () => {
    for (const { name, problem, schema } of encoded) {
      const error = Schema.decodeUnknownSync(schema)(JSON.parse(JSON.stringify(problem)))
      assert.strictEqual(error._tag, name)
      assert.isTrue(error instanceof Error)
      assert.strictEqual(error.message, problem.detail)
      assert.deepStrictEqual(Schema.encodeUnknownSync(schema)(error), problem)
    }
  })

  it("decodes a problem with a different title, but none of another type", () => {
    const { problem, schema } = encoded[0] ?? assert.fail("no row")
    const decode = Schema.decodeUnknownSync(schema)
    assert.strictEqual(decode({ ...problem, title: "Reworded" }).message, problem.detail)
    assert.throws(() => decode({ ...problem, type: "urn:order-platform:other" }))
  })

  it("domain errors contain no HTTP words", () => {
    const orderId = "01a20586-1e1c-764a-aee9-11cfc7017fe9"
    for (const error of [
      new OrderErrors.OrderNotFound({ orderId }),
      new OrderErrors.OrderNotInDeadLetterQueue({ orderId }),
      new OrderErrors.OrderVersionMismatch({ orderId }),
      new OrderErrors.OrdersUnavailable(),
      new OrderErrors.IdempotencyMismatch(),
      new OrderErrors.GroupNotFound({ group: "acme" }),
      new OrderErrors.TooManyWatched({ max: 1 })
    ]) {
      assert.isNotEmpty(error.message)
      assert.notMatch(
        `${error.message} ${Object.keys(error).join(" ")}`,
        /HTTP|If-Match|Idempotency-Key|status|urn:|header|body/
      )
    }
    assert.strictEqual(
      Schema.encodeSync(Problems.OrderVersionMismatch)(new OrderErrors.OrderVersionMismatch({ orderId }))
        .detail,
      "The order has changed since the version that If-Match names."
    )
  })
})

describe("an error of a handler", () => {
  const overloaded = new Overloaded({ message: "Too many orders are waiting.", retryAfterSeconds: 42 })
  const exhausted = new BodyBudgetExhausted({ message: "No memory left.", maxBytes: 1, retryAfterSeconds: 1 })

  it.live("reaches the typed client unchanged, and the response has Retry-After", () =>
    Effect.gen(function* () {
      const { call, port } = yield* serveFake({
        submit: () => Effect.fail(overloaded),
        submitMany: () => Effect.fail(overloaded)
      })
      for (const [path, body] of [
        ["/orders", "{}"],
        ["/orders/bulk", '{"orders":[]}']
      ] as const) {
        const init = { method: "POST", headers: { "content-type": "application/json" }, body }
        const { headers, json, status } = yield* call(path, init)
        assert.deepStrictEqual([status, headers.get("retry-after")], [503, "42"])
        assert.deepInclude(json, { type: "urn:order-platform:overloaded", detail: overloaded.message })
      }
      const { orders } = yield* OrderClient.make(anyJsonObject, { baseUrl: `http://127.0.0.1:${port}` })
      const received = [
        yield* Effect.flip(orders.submit({ payload: { payload: {} }, headers: {} })),
        yield* Effect.flip(orders.submitMany({ payload: { orders: [] }, headers: {} }))
      ]
      for (const error of received) {
        assert.isTrue(error instanceof Overloaded)
        assert.deepInclude(error, { message: overloaded.message, retryAfterSeconds: 42 })
      }
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it("is distinguished by its members from another error of the same type", () => {
    const submitErrors = Schema.Union([Problems.BodyBudgetExhausted, Problems.Overloaded])
    for (const error of [overloaded, exhausted]) {
      const problem = Schema.encodeSync(submitErrors)(error)
      assert.deepStrictEqual(Schema.decodeUnknownSync(submitErrors)(problem)._tag, error._tag)
    }
    assert.notStrictEqual(
      Schema.encodeSync(Problems.BodyBudgetExhausted)(exhausted).title,
      Schema.encodeSync(Problems.Overloaded)(overloaded).title
    )
  })
})
