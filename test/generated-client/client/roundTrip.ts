// A client written from the document alone: types are generated from it and check every call.

import createClient from "openapi-fetch"
import { strict as assert } from "node:assert"
import type { components, paths } from "./schema.d.ts"

const setting = (name: string): string => process.env[name] ?? assert.fail(`${name} is not set`)

const clientWith = (key: string) =>
  createClient<paths>({ baseUrl: setting("BASE_URL"), headers: { authorization: `Bearer ${key}` } })

const shop = clientWith(setting("CLIENT_KEY"))
const operator = clientWith(setting("OPERATOR_KEY"))
const failedId = setting("FAILED_ID")

const submit = () =>
  shop.POST("/orders", {
    params: { header: { "Idempotency-Key": "round-trip" } },
    body: { payload: { drink: "espresso" }, priority: 5, maxRetries: 2, metadata: { shop: "7" } }
  })

const submitted = await submit()
assert.equal(submitted.response.status, 202)
const id: string = submitted.data?.orderId ?? assert.fail("no order id")
assert.equal(submitted.response.headers.get("location"), `/orders/${id}`)
const replayed = await submit()
assert.equal(replayed.data?.orderId, id)
assert.equal(replayed.response.headers.get("idempotency-replayed"), "true")

const bare = await shop.POST("/orders")
assert.equal(bare.response.status, 202)

const read = await shop.GET("/orders/{id}", { params: { path: { id } } })
const order: components["schemas"]["Order"] = read.data ?? assert.fail("no order")
assert.equal(order.status satisfies "PENDING" | "PROCESSING" | "PROCESSED" | "FAILED", "PENDING")
assert.deepEqual(order.payload, { drink: "espresso" })
assert.deepEqual(order.metadata, { shop: "7" })
assert.equal(order.priority, 5)
assert.equal(order.maxRetries, 2)

const listed = await shop.GET("/orders", { params: { query: { status: "PENDING", limit: 1 } } })
assert.equal(listed.data?.orders.length, 1)
const cursor = listed.data?.nextCursor ?? assert.fail("no next page")
const next = await shop.GET("/orders", { params: { query: { status: "PENDING", limit: 1, cursor } } })
assert.equal(next.data?.orders[0]?.id, id)

const byMetadata = await shop.GET("/orders", {
  params: { query: { metadata: { "metadata.shop": "7" } as never } },
  querySerializer: () => "metadata.shop=7"
})
assert.deepEqual(
  byMetadata.data?.orders.map((it) => it.id),
  [id]
)

const timeline = await shop.GET("/orders/{id}/timeline", { params: { path: { id } } })
assert.deepEqual(
  timeline.data?.events.map(({ event, from, to }) => [event, from, to]),
  [["created", null, "PENDING"]]
)
assert.match(timeline.data?.explanation ?? "", /^due since .*: waiting for a free worker$/)

const bulk = await shop.POST("/orders/bulk", {
  params: { header: { "Idempotency-Key": "round-trip" } },
  body: { orders: [{ priority: 1 }, { priority: 12 }, {}] }
})
assert.equal(bulk.response.status, 202)
const kinds = (bulk.data?.results ?? []).map((result) =>
  "problem" in result ? result.problem.type : "taken"
)
assert.deepEqual(kinds, ["taken", "urn:order-platform:invalid-request", "taken"])

const stream = await shop.GET("/orders/{id}/events", {
  params: { path: { id: failedId }, header: { "Last-Event-ID": "1" } },
  parseAs: "text"
})
const text: string = stream.data ?? ""
assert.deepEqual(text.match(/^event: .*$/gm), ["event: started", "event: failed"])

const dlq = await operator.GET("/dlq", { params: { query: { reasonCode: "PERMANENT" } } })
const [entry] = dlq.data ?? []
assert.equal(entry?.orderId, failedId)
assert.equal(entry?.reason, "card declined")
const reprocessed = await operator.POST("/dlq/{orderId}/reprocess", {
  params: { path: { orderId: failedId }, header: { "If-Match": '"3"' } }
})
assert.equal(reprocessed.response.status, 202)
assert.equal(reprocessed.data?.orderId, failedId)
const stats = await operator.GET("/stats")
assert.equal(stats.response.status, 200)
assert.equal(stats.data?.byStatus.FAILED satisfies number | undefined, 0)

// The problem of each answer is one of those that its operation declares.
const missing = await shop.GET("/orders/{id}", {
  params: { path: { id: "00000000-0000-4000-8000-000000000000" } }
})
assert.equal(missing.response.status, 404)
const problem = missing.error ?? assert.fail("no problem")
if (problem.type !== "urn:order-platform:not-found" || !("orderId" in problem)) assert.fail(problem.type)
const notFound: components["schemas"]["OrderNotFound"] = problem
assert.equal(notFound.orderId, "00000000-0000-4000-8000-000000000000")

const again = await operator.POST("/dlq/{orderId}/reprocess", { params: { path: { orderId: failedId } } })
assert.equal(again.response.status, 409)
assert.equal(again.error?.type, "urn:order-platform:not-in-dlq")
const forbidden = await shop.GET("/dlq")
assert.equal(forbidden.error?.type, "urn:order-platform:forbidden")
