import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Schema } from "effect"
import * as OrderPayload from "../../../../src/domain/OrderPayload.ts"
import { MaxBodyBytes } from "../../../../src/infrastructure/http/edge/RequestLimits.ts"
import { open, readToEnd } from "../../../RawHttp.ts"
import { isWholeForm } from "../../../WholeForm.ts"
import { fakePlatform, idNumber } from "../FakePlatform.ts"
import { serve, serveFake, serveMemory } from "../TestServer.ts"

const post = (body: string, headers: Record<string, string> = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body
})

interface Problem {
  readonly detail: string
  readonly errors: ReadonlyArray<{
    readonly path: ReadonlyArray<string | number>
    readonly message: string
  }>
}

/** The value that an issue refers to: the segments of its path may have been cut or cleaned. */
const at = (value: unknown, path: Problem["errors"][number]["path"]): unknown =>
  path.reduce<unknown>((running, segment) => {
    if (typeof running !== "object" || running === null) assert.fail(`no object at ${segment}`)
    if (Object.hasOwn(running as object, segment)) return (running as Record<string, unknown>)[segment]
    const begin = String(segment).replace(/…$/, "")
    const clean = (key: string) => key.replaceAll("\u0000", "\uFFFD")
    const [, found] = Object.entries(running as object).find(([key]) => clean(key).startsWith(begin)) ?? []
    assert.isDefined(found, `nothing at ${segment}`)
    return found
  }, value)

const list = (n: number, element: (n: number) => string) =>
  Array.from({ length: n }, (_, i) => element(i)).join(",")
const nested = (depth: number, key: string, running: string) =>
  `${`{"${key}":`.repeat(depth)}${running}${"}".repeat(depth)}`
const long = (n: number, letter = "k") => letter.repeat(n)
const nulls = (n: number) => `[${list(n, () => '"\\u0000"')}]`

/** Orders below the limit of 64 KiB in which every wrong value is 1 or U+0000, and how many they have. */
const orders = {
  "wrong texts under a long key": [`{"payload":{"${long(30_000)}":${nulls(3_500)}}}`, 1000],
  "wrong texts under long keys in each other": [`{"payload":${nested(60, long(500), nulls(3_500))}}`, 1000],
  "long unknown keys": [`{${list(30, (n) => `"${n}-${long(2_000)}":1`)}}`, 30],
  "thousands of unknown keys": [`{${list(6_000, (n) => `"${n}k":1`)}}`, 6_000],
  "long keys of metadata": [`{"metadata":{${list(30, (n) => `"${n}-${long(2_000)}":1`)}}}`, 30],
  "long keys that are wrong": [
    `{"payload":{${list(15, (n) => `"${n}-\\u0000${long(1_000, "\u{1F600}")}":1`)}}}`,
    15
  ]
} as const satisfies Record<string, readonly [order: string, wrong: number]>

const checkTrue = (value: unknown, { detail, errors }: Problem, wrong: number) => {
  assert.isAbove(errors.length, 0)
  // Without chai for what holds: it takes most of the time of thousands of paths.
  for (const { message, path } of errors) {
    const wrongValue = at(value, path)
    if (wrongValue !== 1 && wrongValue !== "\u0000") assert.fail(JSON.stringify(path))
    for (const segment of path)
      if (typeof segment === "string" && (!segment.isWellFormed() || [...segment].length > 101))
        assert.fail(`the segment ${segment}`)
    if (message.length > 201) assert.fail(`the message ${message}`)
  }
  if (errors.length < wrong)
    assert.strictEqual(
      detail,
      `The request has at least ${wrong} issues; errors lists the first ${errors.length}.`
    )
  else assert.strictEqual(errors.length, wrong)
}

describe("the response to a hostile order", () => {
  it.live.each(Object.entries(orders))("is below 68 KiB and correct: %s", ([, [body, wrong]]) =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const answer = yield* call("/orders", post(body))
      assert.strictEqual(answer.status, 400)
      assert.isBelow(answer.text.length, 68 * 1024)
      checkTrue(JSON.parse(body), answer.json as Problem, wrong)
    })
  )

  it.live("is small for an app's own schema too, with every issue once", () =>
    Effect.gen(function* () {
      const payload = OrderPayload.make(Schema.Record(Schema.String, Schema.Array(Schema.Int)))
      const { platform } = fakePlatform<typeof payload.Payloads>()
      const { call } = yield* serve(payload, platform)
      const body = `{"payload":{"${long(30_000)}":${nulls(1_000)},"b":${nulls(500)}}}`
      const answer = yield* call("/orders", post(body))
      assert.isBelow(answer.text.length, 68 * 1024)
      // Each breaks the schema and has values that cannot be stored, of which the first 1000 are reported.
      checkTrue(JSON.parse(body), answer.json as Problem, 1_500)
    })
  )

  it.live("has every issue of an order with few, as it was written", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const key = long(100)
      const answer = yield* call("/orders", post(`{"payload":{"${key}":{"b":["\\u0000"]}}}`))
      const { detail, errors } = answer.json as Problem
      assert.deepStrictEqual(
        errors.map(({ path }) => path),
        [["payload", key, "b", 0]]
      )
      assert.strictEqual(detail, `payload.${key}.b.0 (body): U+0000 cannot be stored.`)
    })
  )
})

describe("a number that would change when it is stored", () => {
  const message = "This number would be stored as 90071992547409.94; send it as a string to keep every digit"

  it.live.each([
    [`{"payload":{"lines":[{"price":90071992547409.93}]}}`, ["payload", "lines", 0, "price"]],
    [`{"payload":{"price":90071992547409.93},"priority":1}`, ["payload", "price"]],
    [`{"payload":90071992547409.93}`, ["payload"]],
    [`{"priority":90071992547409.93}`, ["priority"]],
    [`{"metadata":{"a":90071992547409.93}}`, ["metadata", "a"]],
    [`90071992547409.93 `, []]
  ] as const)("is 400 with its path: %s", ([body, path]) =>
    Effect.gen(function* () {
      const { call, submitted } = yield* serveFake()
      const answer = yield* call("/orders", post(body))
      assert.strictEqual(answer.status, 400)
      assert.deepStrictEqual((answer.json as Problem).errors, [{ in: "body", path, message }] as never)
      assert.deepStrictEqual(submitted, [])
    })
  )

  it.live("is the problem of its item alone in a bulk", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      const body = `{"orders":[{"payload":{"price":0.10}},{"payload":{"price":90071992547409.93}},{}]}`
      const answer = yield* call("/orders/bulk", post(body))
      assert.strictEqual(answer.status, 202)
      const { results } = answer.json as { readonly results: ReadonlyArray<{ readonly problem?: Problem }> }
      assert.deepStrictEqual(
        results.map(({ problem }) => problem?.errors),
        [undefined, [{ in: "body", path: ["orders", 1, "payload", "price"], message }], undefined] as never
      )
    })
  )
})

describe("the response to a bulk of hostile orders", () => {
  const bulk = (n: number, order: (n: number) => string) => `{"orders":[${list(n, order)}]}`
  const bodies = {
    ...(isWholeForm && {
      "20 of 64 KiB": [bulk(20, () => orders["wrong texts under long keys in each other"][0]), 1000],
      "10 with thousands of unknown keys": [bulk(10, () => orders["thousands of unknown keys"][0]), 6000]
    }),
    "1000 with long keys": [bulk(1000, () => `{"payload":${nested(60, long(100), nulls(5))}}`), 5]
  } as const satisfies Record<string, readonly [body: string, wrong: number]>

  it.live.each(Object.entries(bodies))(
    "is below 2 MiB and correct, also when repeated: %s",
    ([, [body, wrong]]) =>
      Effect.gen(function* () {
        const { call } = yield* serveMemory
        const value: unknown = JSON.parse(body)
        const answer = yield* call("/orders/bulk", post(body, { "idempotency-key": "k" }))
        assert.strictEqual(answer.status, 202)
        assert.isBelow(answer.text.length, 2 * 1024 * 1024)
        const { results } = answer.json as { readonly results: ReadonlyArray<{ readonly problem: Problem }> }
        for (const { problem } of results) checkTrue(value, problem, wrong)
        const again = yield* call("/orders/bulk", post(body, { "idempotency-key": "k" }))
        assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
        assert.strictEqual(again.text, answer.text)
      })
  )
})

describe("large bodies on many connections", () => {
  const largest = 8 * 1024 * 1024
  const settings = Layer.succeed(MaxBodyBytes, largest)
  const small = { "/orders": "{}", "/orders/bulk": `{"orders":[{}]}` } as const
  const half = Buffer.alloc(largest / 2, " ")
  const chunk = Buffer.concat([Buffer.from(`${half.length.toString(16)}\r\n`), half, Buffer.from("\r\n")])

  it.live.each(["/orders", "/orders/bulk"] as const)(
    "are accepted up to 32 MiB of received bytes together: POST %s",
    (path) =>
      Effect.gen(function* () {
        const { call, port } = yield* serveFake({}, settings)
        const other = path === "/orders" ? "/orders/bulk" : "/orders"
        const until = Effect.fnUntraced(function* (status: number) {
          while (true) {
            const answer = yield* call(path, post(small[path]))
            if (answer.status === status) return answer
          }
        })
        const begin = Effect.fnUntraced(function* (framing: string) {
          const socket = yield* open(port)
          socket.write(
            `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`
          )
          return socket
        })
        const announced = yield* Effect.forEach(Array.from({ length: 20 }), () =>
          begin(`Content-Length: ${largest}`)
        )
        const chunked = yield* Effect.forEach(Array.from({ length: 4 }), () =>
          begin("Transfer-Encoding: chunked")
        )
        // Each kind uses half of the 32 MiB; the other sixteen declare as much and send nothing.
        for (const socket of announced.slice(0, 4)) socket.write(half)
        assert.strictEqual((yield* call(path, post(small[path]))).status, 202)
        for (const socket of chunked) socket.write(chunk)
        const refused = yield* until(503)
        assert.deepInclude(refused.json, { type: "urn:order-platform:overloaded", retryAfterSeconds: 1 })
        assert.strictEqual(refused.headers.get("retry-after"), "1")
        // A body refused for its declared length uses no budget, and the other endpoint has its own budget.
        const tooLarge = {
          ...post(" "),
          headers: { "content-type": "application/json" },
          body: Buffer.alloc(largest + 1, " ")
        }
        assert.strictEqual((yield* call(path, tooLarge)).status, 413)
        assert.strictEqual((yield* call(other, post(small[other]))).status, 202)
        for (const socket of [announced[0], chunked[0]]) {
          socket?.destroy()
          yield* until(202)
          // The next body of this size uses the freed bytes, until the test ends.
          ;(yield* begin(`Content-Length: ${largest}`)).write(half)
          yield* until(503)
        }
        // A body that exceeds the budget while it arrives is refused, and the rest is not kept.
        const late = yield* begin(`Content-Length: ${half.length}\r\nConnection: close`)
        const answer = yield* Effect.forkChild(readToEnd(late))
        late.write(half)
        assert.match(yield* Fiber.join(answer), /^HTTP\/1.1 503 /)
      })
  )

  it.live("count against the limit until they are stored", () =>
    Effect.gen(function* () {
      const [allStarted, stored] = [yield* Latch.make(), yield* Latch.make()]
      let running = 0
      const submit = Effect.suspend(() => {
        if (++running === 4) allStarted.openUnsafe()
        return Effect.as(stored.await, idNumber(1))
      })
      const { call } = yield* serveFake({ submit: (() => submit) as never }, settings)
      // As large as allowed but mostly white space: it counts by the bytes that were sent.
      const large = post(`{}${" ".repeat(largest - 2)}`)
      const waiting = yield* Effect.forEach(Array.from({ length: 4 }), () =>
        Effect.forkScoped(call("/orders", large))
      )
      yield* allStarted.await
      assert.strictEqual((yield* call("/orders", post("{}"))).status, 503)
      yield* stored.open
      for (const each of waiting) assert.strictEqual((yield* Fiber.join(each)).status, 202)
      assert.strictEqual((yield* call("/orders", post("{}"))).status, 202)
    })
  )
})
