import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { GroupOverloaded } from "../../../../src/domain/OrderErrors.ts"
import { eventually } from "../../../processes/OrderPlatformProcess.ts"
import { type Answer, serveFake, serveMemory } from "../TestServer.ts"

const put = (body?: unknown) => ({
  method: "PUT",
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  headers: { "content-type": "application/json" }
})

const refusedAt = (answer: Answer) => {
  assert.strictEqual(answer.status, 400, answer.text)
  const { errors } = answer.json as {
    errors: ReadonlyArray<{ in: string; path: ReadonlyArray<string>; message: string }>
  }
  return errors.map(({ in: part, message, path }) => `${part} ${path.join(".")}: ${message}`)
}

const none = { maxRunning: null, ratePerSecond: null, maxPending: null }

describe("PUT /groups/{group}", () => {
  it.live("replaces the limits and answers with the resource, whatever characters the name has", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      for (const group of ["acme", "a/b c?#%", "ö😀"]) {
        const path = `/groups/${encodeURIComponent(group)}`
        const first = yield* call(path, put({ maxRunning: 5, ratePerSecond: 0.5, maxPending: 1000 }))
        assert.strictEqual(first.status, 200, first.text)
        assert.deepStrictEqual(first.json, { group, maxRunning: 5, ratePerSecond: 0.5, maxPending: 1000 })
        const second = yield* call(path, put({ maxRunning: 7, ratePerSecond: null }))
        assert.deepStrictEqual(second.json, { group, ...none, maxRunning: 7 })
      }
      const listed = (yield* call("/groups")).json as ReadonlyArray<{ group: string }>
      assert.deepStrictEqual(
        listed.map(({ group }) => group),
        ["a/b c?#%", "acme", "ö😀"]
      )
      assert.deepStrictEqual(listed[1], { group: "acme", ...none, maxRunning: 7 } as never)
    })
  )

  it.live("refuses wrong limits and names with every path", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      const running = "body maxRunning: Expected a whole number from 1 to 1000000"
      const wrong: ReadonlyArray<readonly [unknown, ReadonlyArray<string>]> = [
        [undefined, ["body : Expected at least one of maxRunning, ratePerSecond and maxPending"]],
        [{}, ["body : Expected at least one of maxRunning, ratePerSecond and maxPending"]],
        [none, ["body : Expected at least one of maxRunning, ratePerSecond and maxPending"]],
        [{ maxRunning: 0 }, [`${running}, got 0`]],
        [{ maxRunning: -1 }, [`${running}, got -1`]],
        [{ maxRunning: 1_000_001 }, [`${running}, got 1000001`]],
        [{ maxRunning: 1.5 }, ["body maxRunning: Expected a whole number, got 1.5"]],
        [{ maxRunning: "5" }, ["body maxRunning: Expected a whole number or null, got a string"]],
        [{ ratePerSecond: 0 }, ["body ratePerSecond: Expected a number from 0.001 to 100000, got 0"]],
        [{ ratePerSecond: 1e6 }, ["body ratePerSecond: Expected a number from 0.001 to 100000, got 1000000"]],
        [{ maxPending: 0 }, ["body maxPending: Expected a whole number from 1 to 1000000000, got 0"]],
        [{ maxRuning: 1 }, ["body maxRuning: This key is not known here; did you mean maxRunning?"]],
        [
          { maxRunning: 0, maxPending: 0 },
          [`${running}, got 0`, "body maxPending: Expected a whole number from 1 to 1000000000, got 0"]
        ]
      ]
      for (const [body, issues] of wrong)
        assert.deepStrictEqual(refusedAt(yield* call("/groups/acme", put(body))), issues)
      const limits = put({ maxRunning: 1 })
      assert.deepStrictEqual(refusedAt(yield* call(`/groups/${"x".repeat(201)}`, limits)), [
        "path group: Expected 1 to 200 characters"
      ])
      assert.deepStrictEqual(refusedAt(yield* call("/groups/a%00", limits)), [
        "path group: Expected no control characters"
      ])
      assert.deepStrictEqual((yield* call("/groups")).json, [])
    })
  )
})

describe("GET and DELETE /groups", () => {
  it.live("follow pages by name, and remove limits once", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      const names = Array.from({ length: 5 }, (_, n) => `group ${n}`)
      for (const name of names) yield* call(`/groups/${name}`, put({ maxRunning: 1 }))
      const seen: Array<string> = []
      let path: string | undefined = "/groups?limit=2"
      while (path !== undefined) {
        const answer: Answer = yield* call(path)
        assert.strictEqual(answer.status, 200, answer.text)
        const page = answer.json as ReadonlyArray<{ group: string }>
        assert.isAtMost(page.length, 2)
        seen.push(...page.map(({ group }) => group))
        path = /^<([!-~]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1]
      }
      assert.deepStrictEqual(seen, names)
      const remove = (name: string) => call(`/groups/${name}`, { method: "DELETE" })
      const removed = yield* remove("group 3")
      assert.deepStrictEqual([removed.status, removed.text], [204, ""])
      for (const name of ["group 3", "unknown"]) {
        const missing = yield* remove(name)
        assert.strictEqual(missing.status, 404)
        assert.deepInclude(missing.json, { type: "urn:order-platform:not-found", group: name })
      }
      assert.strictEqual(((yield* call("/groups")).json as ReadonlyArray<unknown>).length, 4)
    })
  )

  it.live("refuse wrong parameters, and cursors of other lists", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      for (const name of ["a", "b"]) yield* call(`/groups/${name}`, put({ maxRunning: 1 }))
      const cursorOf = (answer: Answer) =>
        /cursor=([\w-]+)/.exec(answer.headers.get("link") ?? "")?.[1] ?? assert.fail("no next page")
      const ofGroups = cursorOf(yield* call("/groups?limit=1"))
      const ofAudit = cursorOf(yield* call("/audit?limit=1"))
      for (const [path, name] of [
        ["/groups?limit=0", "limit"],
        ["/groups?limit=201", "limit"],
        ["/groups?cursor=x", "cursor"],
        ["/groups?group=acme", "group"],
        [`/groups?cursor=${ofAudit}`, "cursor"],
        ["/audit?limit=x", "limit"],
        ["/audit?by=ann", "by"],
        [`/audit?cursor=${ofGroups}`, "cursor"],
        [`/orders?cursor=${ofGroups}`, "cursor"],
        [`/dlq?cursor=${ofAudit}`, "cursor"]
      ] as const)
        assert.match(refusedAt(yield* call(path)).join(), new RegExp(`^query ${name}: [^,]*$`), path)
      for (const path of [`/groups?cursor=${ofGroups}`, `/audit?cursor=${ofAudit}`])
        assert.strictEqual(((yield* call(path)).json as ReadonlyArray<unknown>).length, 1)
    })
  )
})

describe("GET /audit", () => {
  it.live("has what operators did, newest first, in pages", () =>
    Effect.gen(function* () {
      const { call, failed } = yield* serveMemory
      const id = yield* failed
      yield* call(`/dlq/${id}?reason=test%20data`, { method: "DELETE" })
      yield* call("/groups/acme", put({ maxRunning: 1 }))
      const first = yield* call("/audit?limit=1")
      const next = /^<([!-~]+)>; rel="next"$/.exec(first.headers.get("link") ?? "")?.[1]
      const second = yield* call(next ?? assert.fail("no next page"))
      assert.isNull(second.headers.get("link"))
      const entries = [first, second].flatMap(({ json }) => json as ReadonlyArray<Record<string, unknown>>)
      assert.deepStrictEqual(
        entries.map(({ action, by, reason, subject }) => [action, subject, reason, by]),
        [
          ["set group limits", "group acme", null, null],
          ["discard", id, "test data", null]
        ]
      )
      for (const entry of entries) {
        assert.sameMembers(Object.keys(entry), ["at", "by", "action", "subject", "reason", "correlationId"])
        assert.isString(entry["correlationId"])
      }
    })
  )
})

describe("a group with more than its maxPending orders", () => {
  const overloaded = new GroupOverloaded({
    group: "acme",
    message: "Too many of acme.",
    retryAfterSeconds: 7
  })

  it.live("is a 429 with Retry-After for a single order", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake({ submit: () => Effect.fail(overloaded) })
      const answer = yield* call("/orders", { method: "POST" })
      assert.deepStrictEqual([answer.status, answer.headers.get("retry-after")], [429, "7"])
      assert.deepInclude(answer.json, {
        type: "urn:order-platform:overloaded",
        status: 429,
        detail: "Too many of acme.",
        group: "acme",
        retryAfterSeconds: 7
      })
    })
  )

  it.live("is a problem of its orders in a bulk, while the others are stored", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      yield* call("/groups/acme", put({ maxPending: 1 }))
      yield* call("/orders/bulk", {
        ...put({ orders: [{ group: "acme" }, { group: "acme" }] }),
        method: "POST"
      })
      // The group is counted at most once a second.
      yield* eventually(
        "the group is refused",
        Effect.map(call("/orders", { ...put({ group: "acme" }), method: "POST" }), ({ status }) =>
          status === 429 ? true : undefined
        )
      )
      const answer = yield* call("/orders/bulk", {
        ...put({ orders: [{ group: "acme" }, { group: "other" }, {}] }),
        method: "POST"
      })
      assert.strictEqual(answer.status, 202)
      const { results } = answer.json as { results: ReadonlyArray<Record<string, unknown>> }
      assert.deepInclude(results[0]?.["problem"] as object, {
        type: "urn:order-platform:overloaded",
        status: 429,
        group: "acme"
      })
      assert.isString(results[1]?.["orderId"])
      assert.isString(results[2]?.["orderId"])
    })
  )
})
