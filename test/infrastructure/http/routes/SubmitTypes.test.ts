import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import { OrderClient } from "../../../../src/contract/OrderClient.ts"
import * as OrderPayload from "../../../../src/domain/OrderPayload.ts"
import { OrderType } from "../../../../src/domain/OrderType.ts"
import { OrderTypes } from "../../../../src/domain/OrderTypes.ts"
import { fakePlatform } from "../FakePlatform.ts"
import { type Answer, serve } from "../TestServer.ts"

const invoice = OrderType.make("invoice", Schema.Struct({ cents: Schema.Int }))
const email = OrderType.make("email", Schema.Struct({ sentAt: Schema.DateTimeUtcFromString }))
const drink = OrderPayload.make(Schema.Struct({ drink: Schema.String }))

const served = <T>(types: OrderTypes<T>) =>
  Effect.gen(function* () {
    const { platform, submitted } = fakePlatform<T>()
    const server = yield* serve(types, platform)
    const post = (path: string, body: unknown) =>
      server.call(path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body)
      })
    return { ...server, post, submitted }
  })

interface Issues {
  readonly errors: ReadonlyArray<{ readonly path: ReadonlyArray<string | number>; readonly message: string }>
}
const issuesOf = ({ errors }: Issues) => errors.map(({ message, path }) => `${path.join(".")}: ${message}`)

const issues = ({ json, status }: Answer) => {
  assert.strictEqual(status, 400)
  return issuesOf(json as Issues)
}

describe("POST /orders for several types", () => {
  it.live("decodes each payload by the schema of its type", () =>
    Effect.gen(function* () {
      const { post, submitted } = yield* served(OrderTypes.make(invoice, email))
      yield* post("/orders", { type: "invoice", payload: { cents: 5 }, priority: 3 })
      yield* post("/orders", { type: "email", payload: { sentAt: "2026-11-27T12:00:00Z" } })
      assert.deepStrictEqual(
        submitted.map((each) => [
          each.type,
          each.type === "invoice" ? each.payload.cents : each.payload.sentAt.epochMilliseconds
        ]),
        [
          ["invoice", 5],
          ["email", Date.UTC(2026, 10, 27, 12)]
        ]
      )
    })
  )

  it.live("names the issues of the type that the body names, and those of the body", () =>
    Effect.gen(function* () {
      const { post, submitted } = yield* served(OrderTypes.make(invoice, email))
      const wrong = { type: "email", payload: { cents: 5 }, priority: 10 }
      assert.deepStrictEqual(issues(yield* post("/orders", wrong)), [
        "payload.cents: This key is not known here",
        "payload.sentAt: This key is missing",
        "priority: Expected a whole number from 0 to 9, got 10"
      ])
      const type = 'type: Expected "invoice" or "email"'
      assert.deepStrictEqual(issues(yield* post("/orders", { type: "parcel", payload: {}, priority: 10 })), [
        type,
        "priority: Expected a whole number from 0 to 9, got 10"
      ])
      assert.deepStrictEqual(issues(yield* post("/orders", { type: 7, payload: {} })), [
        `${type}, got a number`
      ])
      for (const missing of [{}, { payload: { cents: 5 } }])
        assert.deepStrictEqual(issues(yield* post("/orders", missing)), ["type: This key is missing"])
      assert.deepStrictEqual(issues(yield* post("/orders", [])), [": Expected an object, got an array"])
      assert.deepStrictEqual(submitted, [])
    })
  )

  it.live("decodes each order of a bulk by its type", () =>
    Effect.gen(function* () {
      const { post, submitted } = yield* served(OrderTypes.make(invoice, email))
      const orders = [
        { type: "invoice", payload: { cents: 5 } },
        { type: "email", payload: { cents: 5 } },
        { payload: { cents: 5 } }
      ]
      const { json, status } = yield* post("/orders/bulk", { orders })
      assert.strictEqual(status, 202)
      const { results } = json as { readonly results: ReadonlyArray<{ readonly problem?: Issues }> }
      assert.deepStrictEqual(
        results.map(({ problem }) => (problem === undefined ? [] : issuesOf(problem))),
        [
          [],
          [
            "orders.1.payload.cents: This key is not known here",
            "orders.1.payload.sentAt: This key is missing"
          ],
          ["orders.2.type: This key is missing"]
        ]
      )
      assert.strictEqual(submitted.length, 1)
    })
  )

  it.live("a body without a type is of the type default, or of the only type", () =>
    Effect.gen(function* () {
      const both = yield* served(OrderTypes.make(email, drink))
      for (const body of [{ payload: { drink: "tea" } }, { payload: { drink: "tea" }, group: "g" }])
        assert.strictEqual((yield* both.post("/orders", body)).status, 202)
      assert.deepStrictEqual(
        both.submitted.map(({ payload, type }) => [type, payload]),
        [
          [undefined, { drink: "tea" }],
          [undefined, { drink: "tea" }]
        ]
      )
      assert.deepStrictEqual(issues(yield* both.post("/orders", {})), ["payload.drink: This key is missing"])

      const one = yield* served(invoice)
      for (const body of [{ payload: { cents: 5 } }, { type: "invoice", payload: { cents: 5 } }])
        assert.strictEqual((yield* one.post("/orders", body)).status, 202)
      assert.deepStrictEqual(issues(yield* one.post("/orders", { type: "email", payload: { cents: 5 } })), [
        'type: Expected "invoice"'
      ])
    })
  )

  it.live("is called by a typed client", () =>
    Effect.gen(function* () {
      const types = OrderTypes.make(invoice, email, drink)
      const { port, submitted } = yield* served(types)
      const { orders } = yield* OrderClient.make(types, { baseUrl: `http://127.0.0.1:${port}` })
      const sentAt = yield* Schema.decodeEffect(Schema.DateTimeUtcFromString)("2026-11-27T12:00:00Z")
      const bodies = [
        { type: "invoice", payload: { cents: 5 } },
        { type: "email", payload: { sentAt } },
        { payload: { drink: "tea" } }
      ] as const
      for (const payload of bodies) yield* orders.submit({ payload, headers: {} })
      yield* orders.submitMany({ payload: { orders: bodies }, headers: {} })
      assert.deepStrictEqual(
        submitted.map(({ payload }) => payload),
        [...bodies, ...bodies].map(({ payload }) => payload)
      )
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )
})
