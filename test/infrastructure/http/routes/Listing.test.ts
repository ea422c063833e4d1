import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type OpenApi } from "effect/http-api"
import { newOrder } from "../../../TestOrders.ts"
import { type Answer, serveMemory } from "../TestServer.ts"

interface Listed {
  readonly orders: ReadonlyArray<Record<string, unknown>>
  readonly nextCursor: string | null
}

const listed = (answer: Answer) => {
  assert.strictEqual(answer.status, 200, answer.text)
  return answer.json as Listed
}

/** The paths of the issues of a refused request. */
const refusedAt = (answer: Answer) => {
  assert.strictEqual(answer.status, 400, answer.text)
  assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
  const { errors } = answer.json as {
    errors: ReadonlyArray<{ in: string; path: ReadonlyArray<string>; message: string }>
  }
  return errors.map(({ in: part, path }) => `${part}:${path.join("/")}`)
}

/** Ten orders, two of which failed. */
const shops = Effect.gen(function* () {
  const server = yield* serveMemory
  for (let n = 0; n < 8; n++) {
    const order = newOrder({
      payload: { n },
      type: n < 4 ? "invoice" : "default",
      orderingKey: `key ${n % 2}`,
      group: "a&b",
      metadata: { shop: String(n % 2), "a.b c&": "x=1 %" }
    })
    yield* server.stores.intake.submit([order])
  }
  yield* server.failOne({ metadata: { shop: "0" } }, "card declined: 05 & more")
  yield* server.failOne({ metadata: { shop: "1" } }, "out of stock")
  return server
})

describe("GET /orders", () => {
  it.live("has orders newest first without their payloads, fifty by default", () =>
    Effect.gen(function* () {
      const { call, failed, stores } = yield* serveMemory
      yield* stores.intake.submit(Array.from({ length: 60 }, (_, n) => newOrder({ payload: { n } })))
      const id = yield* failed
      const { nextCursor, orders } = listed(yield* call("/orders"))
      assert.strictEqual(orders.length, 50)
      assert.isString(nextCursor)
      const single = (yield* call(`/orders/${id}`)).json as Record<string, unknown>
      const { payload, ...rest } = single
      assert.isDefined(payload)
      assert.deepInclude(listed(yield* call("/orders?limit=200")).orders, rest)
      const keys = orders.map(({ createdAt, id }) => `${String(createdAt)} ${String(id)}`)
      assert.deepStrictEqual(keys, [...keys].sort().reverse())
    })
  )

  it.live("combines filters, and its cursors lead to the end", () =>
    Effect.gen(function* () {
      const { call } = yield* shops
      const count = (query: string) =>
        Effect.map(call(`/orders${query}`), (answer) => listed(answer).orders.length)
      assert.strictEqual(yield* count(""), 10)
      assert.strictEqual(yield* count("?status=FAILED"), 2)
      assert.strictEqual(yield* count("?retrying=true"), 0)
      assert.strictEqual(yield* count("?metadata.shop=0"), 5)
      assert.strictEqual(yield* count("?metadata.shop=0&status=PENDING"), 4)
      assert.strictEqual(
        yield* count(`?metadata.${encodeURIComponent("a.b c&")}=${encodeURIComponent("x=1 %")}`),
        8
      )
      assert.strictEqual(yield* count("?type=invoice"), 4)
      assert.strictEqual(yield* count("?type=default"), 6)
      assert.strictEqual(yield* count("?orderingKey=key%201"), 4)
      assert.strictEqual(yield* count("?group=a%26b"), 8)
      assert.strictEqual(yield* count("?group=a%26b&type=invoice&orderingKey=key%201&metadata.shop=1"), 2)
      assert.strictEqual(yield* count("?group=none"), 0)
      assert.strictEqual(yield* count("?metadata.shop="), 0)
      assert.strictEqual(yield* count("?metadata.__proto__=0"), 0)
      assert.strictEqual(yield* count("?createdAfter=0000-01-01T00:00:00Z"), 10)
      assert.strictEqual(yield* count("?createdBefore=2020-01-01T00:00:00%2B02:00"), 0)
      assert.strictEqual(yield* count("?createdAfter=9999-12-31T23:59:59.999Z"), 0)
      const seen: Array<unknown> = []
      let cursor: string | null = ""
      while (cursor !== null) {
        const next: string = cursor === "" ? "" : `&cursor=${cursor}`
        const page: Listed = listed(yield* call(`/orders?metadata.shop=1&limit=2${next}`))
        seen.push(...page.orders.map(({ id }) => id))
        cursor = page.nextCursor
      }
      assert.strictEqual(seen.length, 5)
      assert.strictEqual(new Set(seen).size, 5)
    })
  )

  it.live("refuses all unknown and invalid parameters at once, by name", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      const wrong: Record<string, string> = {
        "limit=0": "limit",
        "limit=201": "limit",
        "limit=1&limit=2": "limit",
        "status=DONE": "status",
        "status=PENDING&status=FAILED": "status",
        "type=": "type",
        "type=Invoice": "type",
        [`type=${"x".repeat(65)}`]: "type",
        "orderingKey=": "orderingKey",
        "orderingKey=%0A": "orderingKey",
        "orderingKey=%00": "orderingKey",
        [`group=${"x".repeat(201)}`]: "group",
        "group=%C2%85": "group",
        "group=a&group=b": "group",
        "retrying=false": "retrying",
        "retrying=": "retrying",
        "createdAfter=2026-02-31T00:00:00Z": "createdAfter",
        "createdAfter=yesterday": "createdAfter",
        "createdBefore=2026-02-03T00:00:00": "createdBefore",
        "cursor=x": "cursor",
        "cursor=": "cursor",
        "colour=red": "colour",
        "metadata=x": "metadata",
        "metadata[shop]=x": "metadata[shop]",
        "metadata.=x": "metadata.",
        "metadata.shop=1&metadata.shop=2": "metadata.shop",
        "metadata.shop=%00": "metadata.shop",
        "metadata.a%00=x": "metadata.a\u0000",
        [`metadata.${"k".repeat(65)}=x`]: `metadata.${"k".repeat(65)}`,
        [`metadata.shop=${"v".repeat(513)}`]: "metadata.shop"
      }
      for (const [query, name] of Object.entries(wrong))
        assert.deepStrictEqual(refusedAt(yield* call(`/orders?${query}`)), [`query:${name}`], query)
      assert.strictEqual(refusedAt(yield* call("/orders?limit=0&cursor=x&a=1&retrying=no")).length, 4)
      const many = Array.from({ length: 33 }, (_, n) => `metadata.k${n}=x`).join("&")
      assert.strictEqual(refusedAt(yield* call(`/orders?${many}`)).length, 1)
    })
  )

  it.live("a cursor is bound to its filters, and a forged one is refused", () =>
    Effect.gen(function* () {
      const { call } = yield* shops
      const query =
        "status=PENDING&metadata.shop=0&createdAfter=2020-01-01T00:00:00Z&type=invoice&group=a%26b"
      const { nextCursor } = listed(yield* call(`/orders?${query}&limit=1`))
      const with_ = (query: string) => call(`/orders?${query}&cursor=${nextCursor}`)
      // The same filters in another spelling and order; the page size may differ.
      for (const same of [
        query,
        `limit=3&group=a%26b&metadata.shop=0&createdAfter=2020-01-01T02:00:00%2B02:00&type=invoice&status=PENDING`
      ])
        assert.strictEqual((yield* with_(same)).status, 200)
      for (const other of [
        "",
        "status=PENDING",
        query.replace("shop=0", "shop=1"),
        query.replace("shop", "stop"),
        query.replace("PENDING", "FAILED"),
        query.replace("2020", "2021"),
        query.replace("&type=invoice", ""),
        query.replace("type=invoice", "type=default"),
        query.replace("group=", "orderingKey="),
        `${query}&orderingKey=key%200`,
        query.replace("createdAfter", "createdBefore"),
        `${query}&retrying=true`
      ])
        assert.deepStrictEqual(refusedAt(yield* with_(other)), ["query:cursor"], other)
      const forge = (inside: unknown) => Buffer.from(JSON.stringify(inside)).toString("base64url")
      const [, id, binding] = JSON.parse(Buffer.from(nextCursor ?? "", "base64url").toString()) as [
        number,
        string,
        number
      ]
      for (const inside of [
        [-1e15, id, binding],
        [9e15, id, binding],
        [1.5, id, binding],
        [0, "x", binding],
        [0, id],
        [0, id, "x"],
        {},
        null
      ])
        assert.deepStrictEqual(refusedAt(yield* call(`/orders?${query}&cursor=${forge(inside)}`)), [
          "query:cursor"
        ])
      // A cursor of the dead letter queue.
      const link = (yield* call("/dlq?limit=1")).headers.get("link") ?? ""
      const foreign = /cursor=([\w-]+)/.exec(link)?.[1] ?? ""
      assert.deepStrictEqual(refusedAt(yield* call(`/orders?cursor=${foreign}`)), ["query:cursor"])
    })
  )

  it.live("is documented with its ranges and the form of its metadata filters", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      const spec = (yield* call("/openapi.json")).json as OpenApi.OpenAPISpec
      const parameters = spec.paths["/orders"]?.get?.parameters ?? []
      const byName = new Map(parameters.flatMap((it) => ("name" in it ? [[it.name, it] as const] : [])))
      assert.includeMembers(
        [...byName.keys()],
        [
          "status",
          "type",
          "orderingKey",
          "group",
          "retrying",
          "createdAfter",
          "createdBefore",
          "limit",
          "cursor",
          "metadata"
        ]
      )
      assert.strictEqual(byName.size, 10)
      assert.deepStrictEqual(byName.get("limit")?.schema as object, {
        type: "integer",
        minimum: 1,
        maximum: 200,
        default: 50
      })
      for (const parameter of byName.values()) assert.isFalse(parameter.required, parameter.name)
    })
  )
})

describe("GET /dlq", () => {
  it.live("accepts filters, and its links keep them", () =>
    Effect.gen(function* () {
      const { call, failOne } = yield* shops
      for (let n = 0; n < 4; n++) yield* failOne({}, "card declined: 05 & more")
      const seen: Array<unknown> = []
      let path: string | undefined =
        `/dlq?limit=2&reasonCode=PERMANENT&reason=${encodeURIComponent(": 05 &")}&failedAfter=2020-01-01T00:00:00%2B01:00`
      while (path !== undefined) {
        const answer: Answer = yield* call(path)
        assert.strictEqual(answer.status, 200, answer.text)
        const entries = answer.json as ReadonlyArray<{ orderId: string; reason: string }>
        for (const { orderId, reason } of entries) {
          assert.include(reason, ": 05 &")
          seen.push(orderId)
        }
        path = /^<([!-~]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1]
      }
      assert.strictEqual(seen.length, 5)
      assert.strictEqual(new Set(seen).size, 5)
      const none = yield* call("/dlq?reasonCode=TIMEOUT")
      assert.deepStrictEqual(none.json, [])
      assert.isNull(none.headers.get("link"))
    })
  )

  it.live("refuses wrong filters, and a cursor of other ones", () =>
    Effect.gen(function* () {
      const { call } = yield* shops
      for (const [query, name] of [
        ["reasonCode=NONE", "reasonCode"],
        ["reason=", "reason"],
        ["reason=%00", "reason"],
        [`reason=${"x".repeat(2001)}`, "reason"],
        ["failedAfter=x", "failedAfter"],
        ["failedBefore=2026-01-01", "failedBefore"],
        ["status=FAILED", "status"]
      ])
        assert.deepStrictEqual(refusedAt(yield* call(`/dlq?${query}`)), [`query:${name}`])
      const link = (yield* call("/dlq?limit=1")).headers.get("link") ?? ""
      const cursor = /cursor=([\w-]+)/.exec(link)?.[1] ?? ""
      assert.strictEqual((yield* call(`/dlq?cursor=${cursor}`)).status, 200)
      assert.deepStrictEqual(refusedAt(yield* call(`/dlq?reasonCode=PERMANENT&cursor=${cursor}`)), [
        "query:cursor"
      ])
    })
  )
})
