import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Redacted } from "effect"
import type { OpenBreaker } from "../../../../src/domain/Workers.ts"
import { ApiKeys } from "../../../../src/infrastructure/http/edge/Caller.ts"
import { newOrder } from "../../../TestOrders.ts"
import { type Answer, serveFake, serveMemory, serveMemoryWith } from "../TestServer.ts"

const post = (body?: unknown, headers: Record<string, string> = {}) => ({
  method: "POST",
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  headers: { "content-type": "application/json", ...headers }
})

interface Workers {
  readonly paused: boolean
  readonly pauses: ReadonlyArray<Record<string, unknown>>
  readonly typesWithoutWorker: ReadonlyArray<string>
  readonly breakers: ReadonlyArray<Record<string, unknown>>
  readonly processes: ReadonlyArray<Record<string, unknown>>
}

const workers = (answer: Answer) => {
  assert.strictEqual(answer.status, 200, answer.text)
  return answer.json as Workers
}

const refusedAt = (answer: Answer) => {
  assert.strictEqual(answer.status, 400, answer.text)
  const { errors } = answer.json as {
    errors: ReadonlyArray<{ in: string; path: ReadonlyArray<string>; message: string }>
  }
  return errors.map(({ in: part, message, path }) => `${part} ${path.join(".")}: ${message}`)
}

describe("GET /worker", () => {
  it.live("has the pauses, the processes, and the types that no process takes", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      assert.deepStrictEqual((yield* call("/worker")).json, {
        paused: false,
        pauses: [
          {
            type: null,
            group: "north",
            reason: "bank down",
            by: "ann",
            since: "2026-11-22T12:00:00.000Z",
            resumeAt: "2026-11-22T13:00:00.000Z"
          }
        ],
        typesWithoutWorker: ["invoice"],
        breakers: [{ type: "coffee", state: "open", since: "2026-11-22T23:11:58.000Z" }],
        processes: [
          {
            id: "w",
            host: "north-1",
            version: "0.1.0",
            role: "worker",
            types: ["parcel"],
            inFlight: 3,
            capacity: 100,
            startedAt: "2026-11-22T11:00:00.000Z",
            seenAt: "2026-11-22T12:00:01.000Z",
            draining: false
          }
        ]
      })
    })
  )

  it.live("names a type from its first due order until a worker takes it", () =>
    Effect.gen(function* () {
      const { call, stores } = yield* serveMemory
      const later = DateTime.add(yield* DateTime.now, { hours: 1 })
      yield* stores.intake.submit([
        newOrder({ type: "invoice" }),
        newOrder({ type: "later", notBefore: later })
      ])
      const types = Effect.map(call("/worker"), (answer) => workers(answer).typesWithoutWorker)
      assert.deepStrictEqual(yield* types, ["invoice"])
      const report = {
        host: "h",
        version: "1",
        role: "worker",
        types: ["invoice"],
        capacity: 5,
        inFlight: 0,
        draining: false
      }
      const breakers = (
        ...all: ReadonlyArray<readonly [type: string, OpenBreaker["state"], since: string]>
      ) => all.map(([type, state, since]) => ({ type, state, since: DateTime.makeUnsafe(since) }))
      yield* stores.work.renew("w", Duration.minutes(1), {
        ...report,
        breakers: breakers(
          ["invoice", "open", "2026-11-22T08:00:01Z"],
          ["email", "half-open", "2026-11-22T08:00:00Z"]
        )
      })
      assert.deepStrictEqual(yield* types, [])
      yield* stores.work.renew("v", Duration.minutes(1), {
        ...report,
        breakers: breakers(["invoice", "half-open", "2026-11-22T08:00:00Z"])
      })
      const { breakers: open, processes } = workers(yield* call("/worker"))
      assert.deepInclude(processes[0], { id: "w", ...report })
      assert.notProperty(processes[0], "breakers")
      assert.deepStrictEqual(open, [
        { type: "email", state: "half-open", since: "2026-11-22T08:00:00.000Z" },
        { type: "invoice", state: "open", since: "2026-11-22T08:00:00.000Z" }
      ])
    })
  )
})

describe("POST /worker/pause and /worker/resume", () => {
  it.live("answer with the resource, and hold for their scope", () =>
    Effect.gen(function* () {
      const keys = Layer.succeed(ApiKeys, {
        clients: [],
        operators: [{ name: "ann", secret: Redacted.make("the-secret-of-ann") }]
      })
      const { call, stores } = yield* serveMemoryWith(keys)
      const auth = { authorization: "Bearer the-secret-of-ann" }
      const order = newOrder({ type: "invoice" })
      yield* stores.intake.submit([order])
      const explanation = Effect.map(
        call(`/orders/${order.id}/timeline`, { headers: auth }),
        ({ json }) => (json as { explanation: string }).explanation
      )
      const type = workers(yield* call("/worker/pause", post({ reason: "no ink", type: "invoice" }, auth)))
      assert.isFalse(type.paused)
      const { since, ...pause } = type.pauses[0] ?? {}
      assert.isString(since)
      assert.deepStrictEqual(pause, {
        type: "invoice",
        group: null,
        reason: "no ink",
        by: "ann",
        resumeAt: null
      })
      assert.strictEqual(yield* explanation, "type invoice is paused by ann: no ink")
      const resumeAt = DateTime.formatIso(DateTime.add(yield* DateTime.now, { hours: 1 }))
      const all = workers(yield* call("/worker/pause", post({ reason: "bank down", resumeAt }, auth)))
      assert.isTrue(all.paused)
      assert.deepInclude(all.pauses[1], { type: null, group: null, resumeAt })
      assert.deepStrictEqual(workers(yield* call("/worker", { headers: auth })), all)
      // Resuming all orders ends only the pause of all orders; the body may be missing.
      const resumed = workers(yield* call("/worker/resume", { method: "POST", headers: auth }))
      assert.deepStrictEqual([resumed.paused, resumed.pauses.length], [false, 1])
      assert.deepStrictEqual(workers(yield* call("/worker/resume", post({}, auth))), resumed)
      const last = workers(yield* call("/worker/resume", post({ type: "invoice" }, auth)))
      assert.deepStrictEqual(last.pauses, [])
    })
  )

  it.live("refuse wrong bodies with every path", () =>
    Effect.gen(function* () {
      const { call } = yield* serveMemory
      const past = "2020-01-01T00:00:00Z"
      const wrong: ReadonlyArray<readonly [unknown, ReadonlyArray<string>]> = [
        [undefined, ["body reason: This key is missing"]],
        [{}, ["body reason: This key is missing"]],
        [{ reason: " " }, ["body reason: Expected a text that is not blank"]],
        [{ reason: 1 }, ["body reason: Expected a string, got a number"]],
        [{ reason: "r", resumeAt: past }, ["body resumeAt: Expected a time in the future"]],
        [
          { reason: "r", resumeAt: "3000-01-01T00:00:00Z" },
          ["body resumeAt: Expected a time at most 10 years ahead"]
        ],
        [{ reason: "r", type: "A" }, ["body type: Expected 1 to 64 of the characters a-z 0-9 . _ -"]],
        [{ reason: "r", group: "" }, ["body group: Expected 1 to 200 characters"]],
        [{ reason: "r", group: "a\n" }, ["body group: Expected no control characters"]],
        [{ reason: "r", until: past }, ["body until: This key is not known here"]]
      ]
      for (const [body, issues] of wrong)
        assert.deepStrictEqual(refusedAt(yield* call("/worker/pause", post(body))), issues)
      assert.deepStrictEqual(refusedAt(yield* call("/worker/resume", post({ reason: "r" }))), [
        "body reason: This key is not known here"
      ])
      assert.deepStrictEqual(workers(yield* call("/worker")).pauses, [])
    })
  )
})
