import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { serveMemory } from "../TestServer.ts"

const upperEscapes = (text: string) =>
  Array.from(text, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`).join("")

describe("another spelling that a standard allows", () => {
  it.live("names the same order: an id in upper case, or percent-encoded in either case", () =>
    Effect.gen(function* () {
      const { call, failed } = yield* serveMemory
      const id = yield* failed
      const spellings = [id, id.toUpperCase(), upperEscapes(id), upperEscapes(id).toLowerCase()]
      for (const spelling of spellings) {
        for (const path of [`/orders/${spelling}`, `/orders/${spelling}/timeline`, `/dlq/${spelling}`]) {
          const answer = yield* call(path)
          assert.strictEqual(answer.status, 200, path)
          assert.include(answer.text, path.endsWith("timeline") ? '"version"' : id)
          assert.notInclude(answer.text, id.toUpperCase())
        }
      }
      const again = yield* call(`/dlq/${id.toUpperCase()}/reprocess`, { method: "POST" })
      assert.deepStrictEqual([again.status, again.json], [202, { orderId: id }])
    })
  )

  it.live("names the same query: names and values percent-encoded in either case", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      const body = JSON.stringify({ metadata: { ü: "é+ /" } })
      yield* call("/orders", { method: "POST", headers: { "content-type": "application/json" }, body })
      for (const query of [
        "metadata.%C3%BC=%C3%A9%2B%20%2F",
        "metadata.%c3%bc=%c3%a9%2b+%2f",
        "%6Detadata%2E%c3%bc=%C3%a9%2b%20/"
      ]) {
        const { json } = yield* call(`/orders?${query}`)
        assert.strictEqual((json as { readonly orders: ReadonlyArray<unknown> }).orders.length, 1, query)
      }
    })
  )

  it.live.each(["/orders/%zz", "/orders/%", "/orders/%C3%28", "/orders?limit=%zz", "/orders?cursor=%ff"])(
    "is refused if an escape is wrong: %s",
    (path) =>
      Effect.gen(function* () {
        const { call } = yield* serveMemory
        assert.strictEqual((yield* call(path)).status, 400)
      })
  )

  it.live.each([
    ['"1"', 412],
    ['"2", "3"', 202],
    ['W/"3"', 412],
    [' ,"1",\t"3" , ', 202],
    ["*", 202],
    ["3", 400],
    ['"3', 400],
    ['*, "3"', 400]
  ] as const)("names versions: If-Match %s is %s", ([tags, status]) =>
    Effect.gen(function* () {
      const { call, failed } = yield* serveMemory
      const id = yield* failed
      const headers = { "if-match": tags }
      const answer = yield* call(`/dlq/${id}/reprocess`, { method: "POST", headers })
      assert.strictEqual(answer.status, status, answer.text)
    })
  )

  it.live.each([
    ["Application/JSON", 200],
    ["text/html, application/*;q=0.1", 200],
    ["text/html;q=1.0 ,\t*/*;Q=0.001", 200],
    ['text/html;x="a,b", application/json;v=1', 200],
    ["application/json;q=0", 406],
    ["*/*, application/json; q=0.000", 406],
    ["text/html", 406]
  ] as const)("names media types: Accept %s is %s", ([accept, status]) =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      assert.strictEqual((yield* call("/orders", { headers: { accept } })).status, status)
    })
  )
})
