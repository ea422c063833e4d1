import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Answer, serveMemory } from "../TestServer.ts"

const refusedAt = (answer: Answer) => {
  assert.strictEqual(answer.status, 400, answer.text)
  const { errors } = answer.json as {
    errors: ReadonlyArray<{ in: string; path: ReadonlyArray<string>; message: string }>
  }
  return errors.map(({ in: part, message, path }) => `${part} ${path.join(".")}: ${message}`)
}

const post = (body?: unknown) => ({
  method: "POST",
  ...(body === undefined
    ? {}
    : { body: JSON.stringify(body), headers: { "content-type": "application/json" } })
})

type View = Readonly<Record<string, unknown>>
const groupsOf = ({ json }: Answer) => json as ReadonlyArray<View>

describe("GET /dlq/groups", () => {
  it.live("lists the groups of failures, and GET /dlq the entries of one", () =>
    Effect.gen(function* () {
      const { call, failed, failOne } = yield* serveMemory
      const first = yield* failed
      const second = yield* failOne({}, "order 4711 is broken")
      const third = yield* failOne({}, "order 4712 is broken")
      const answer = yield* call("/dlq/groups")
      assert.strictEqual(answer.status, 200, answer.text)
      const [largest, other] = groupsOf(answer)
      assert.sameMembers(Object.keys(largest ?? {}), [
        "fingerprint",
        "reasonCode",
        "type",
        "message",
        "count",
        "firstSeen",
        "lastSeen",
        "sampleOrderId",
        "versions",
        "state"
      ])
      assert.deepInclude(largest, {
        reasonCode: "PERMANENT",
        type: "default",
        message: "order # is broken",
        count: 2,
        state: "new"
      })
      assert.oneOf(largest?.["sampleOrderId"], [second, third])
      assert.deepInclude(other, { count: 1, sampleOrderId: first })
      const entries = (yield* call(`/dlq?fingerprint=${largest?.["fingerprint"] as string}`))
        .json as ReadonlyArray<View>
      assert.sameMembers(
        entries.map(({ orderId }) => orderId),
        [second, third]
      )
      for (const entry of entries) assert.strictEqual(entry["fingerprint"], largest?.["fingerprint"])
      assert.deepStrictEqual((yield* call("/dlq?fingerprint=0123456789abcdef")).json, [])
    })
  )

  it.live("follows pages to the end, and refuses cursors of other lists and wrong parameters", () =>
    Effect.gen(function* () {
      const { call, failOne } = yield* serveMemory
      for (const reason of ["a", "b", "c", "c", "d"]) yield* failOne({}, reason)
      const all = groupsOf(yield* call("/dlq/groups"))
      assert.strictEqual(all.length, 4)
      const seen: Array<View> = []
      let path: string | undefined = "/dlq/groups?limit=1"
      let cursor = ""
      while (path !== undefined) {
        const answer: Answer = yield* call(path)
        assert.strictEqual(answer.status, 200, answer.text)
        seen.push(...groupsOf(answer))
        path = /^<([!-~]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1]
        cursor = /cursor=([\w-]+)/.exec(path ?? "")?.[1] ?? cursor
      }
      assert.deepStrictEqual(seen, all)
      for (const [wrong, name] of [
        ["/dlq/groups?limit=0", "limit"],
        ["/dlq/groups?cursor=x", "cursor"],
        ["/dlq/groups?type=coffee", "type"],
        [`/dlq?cursor=${cursor}`, "cursor"],
        [`/groups?cursor=${cursor}`, "cursor"],
        ["/dlq?fingerprint=7", "fingerprint"],
        ["/dlq?fingerprint=0123456789ABCDEF", "fingerprint"]
      ] as const)
        assert.match(refusedAt(yield* call(wrong)).join(), new RegExp(`^query ${name}: [^,]*$`), wrong)
    })
  )
})

describe("POST /dlq/groups/{fingerprint}/fixed", () => {
  it.live("marks the group, answers with it, and is in the audit with version and reason", () =>
    Effect.gen(function* () {
      const { call, failed } = yield* serveMemory
      yield* failed
      const [group = {}] = groupsOf(yield* call("/dlq/groups"))
      const fixed = `/dlq/groups/${group["fingerprint"] as string}/fixed`
      const first = yield* call(fixed, post())
      assert.strictEqual(first.status, 200, first.text)
      assert.deepStrictEqual(first.json, { ...group, state: "fixed" })
      assert.deepStrictEqual(groupsOf(yield* call("/dlq/groups")), [{ ...group, state: "fixed" }])
      const second = yield* call(fixed, post({ version: "1.2.3", reason: "new terminal" }))
      assert.deepStrictEqual(second.json, { ...group, state: "fixed" })
      const subject = `failure group ${group["fingerprint"] as string}`
      assert.deepStrictEqual(
        groupsOf(yield* call("/audit")).map(({ action, reason, subject }) => [action, subject, reason]),
        [
          ["mark fixed", `${subject} in version 1.2.3`, "new terminal"],
          ["mark fixed", subject, null]
        ]
      )
    })
  )

  it.live("refuses wrong bodies and fingerprints, and is 404 without such a group", () =>
    Effect.gen(function* () {
      const { call, failed } = yield* serveMemory
      yield* failed
      const [group = {}] = groupsOf(yield* call("/dlq/groups"))
      const fixed = `/dlq/groups/${group["fingerprint"] as string}/fixed`
      for (const [body, issue] of [
        [{ version: "" }, "body version: Expected 1 to 200 characters"],
        [{ version: "x".repeat(201) }, "body version: Expected 1 to 200 characters"],
        [{ version: 2 }, "body version: Expected a string, got a number"],
        [{ versions: "2" }, "body versions: This key is not known here; did you mean version?"]
      ] as const)
        assert.deepStrictEqual(refusedAt(yield* call(fixed, post(body))), [issue])
      assert.match(refusedAt(yield* call("/dlq/groups/x/fixed", post())).join(), /^path fingerprint: [^,]*$/)
      const unknown = yield* call("/dlq/groups/0123456789abcdef/fixed", post())
      assert.deepStrictEqual(
        [unknown.status, unknown.headers.get("content-type")],
        [404, "application/problem+json"]
      )
      assert.deepInclude(unknown.json, {
        type: "urn:order-platform:not-found",
        fingerprint: "0123456789abcdef"
      })
      assert.deepStrictEqual((yield* call("/audit")).json, [])
      const wrongMethod = yield* call(fixed)
      assert.deepStrictEqual([wrongMethod.status, wrongMethod.headers.get("allow")], [405, "OPTIONS, POST"])
    })
  )
})
