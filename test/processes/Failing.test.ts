import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { describe } from "vitest"
import {
  call,
  withOwnSchema,
  order,
  awaitStatus,
  awaitOrders,
  type Serving,
  start,
  submit,
  timeline
} from "./OrderPlatformProcess.ts"

/** Every attempt fails at once. */
const failing = {
  ORDER_WORKER_FAILURE_PROBABILITY: 1,
  ORDER_WORKER_MAX_RETRIES: 3,
  ORDER_WORKER_RETRY_DELAY_MS: 100,
  ORDER_WORKER_PROCESSING_DELAY_MS: 0
}

/** A worker that stays busy with its first order. */
const busy = { ORDER_WORKER_CONCURRENCY: 1, ORDER_WORKER_PROCESSING_DELAY_MS: 600_000 }

interface Entry {
  readonly orderId: string
  readonly reason: string
  readonly reasonCode: string
  readonly retryCount: number
  readonly failedAt: string
  readonly fingerprint: string
}

const deadLetters = (server: Serving) =>
  Effect.map(call<ReadonlyArray<Entry>>(`${server.url}/dlq`), ({ json }) => json)

const reprocess = (server: Serving, id: string) =>
  call<{ readonly orderId?: string; readonly type?: string }>(`${server.url}/dlq/${id}/reprocess`, {
    method: "POST"
  })

const threeAttempts = ["started", "retried", "started", "retried", "started", "failed"]

describe("a process whose orders fail", { concurrent: true }, () => {
  it.live(
    "an order that keeps failing ends in the DLQ after three attempts, and again after a reprocess",
    () =>
      Effect.gen(function* () {
        const server = yield* start(failing)
        const id = yield* submit(server, { payload: { amount: 5 } })
        const failed = yield* awaitStatus("FAILED", server, id)
        assert.strictEqual(failed.retryCount, 3)

        const entries = yield* deadLetters(server)
        const history = yield* timeline(server, id)
        assert.deepStrictEqual(entries, [
          {
            orderId: id,
            reason: "simulated failure of attempt 3",
            reasonCode: "SIMULATED",
            retryCount: 3,
            failedAt: history.at(-1)?.at ?? "",
            fingerprint: entries[0]?.fingerprint ?? ""
          }
        ])
        assert.match(entries[0]?.fingerprint ?? "", /^[0-9a-f]{16}$/)
        assert.deepStrictEqual(
          history.map(({ event }) => event),
          ["created", ...threeAttempts]
        )
        assert.deepStrictEqual(
          history.map(({ attempt }) => attempt),
          [1, 1, 1, 2, 2, 3, 3]
        )
        // 100 ms and twice that, each ± 20 %, plus the delay of a busy machine.
        const at = history.map(({ at }) => Date.parse(at))
        const waitBefore = (started: number) => (at[started] ?? Number.NaN) - (at[started - 1] ?? Number.NaN)
        for (const [wait, least, most] of [
          [waitBefore(3), 80, 120],
          [waitBefore(5), 160, 240]
        ] as const) {
          assert.isAtLeast(wait, least)
          assert.isAtMost(wait, most + 300)
        }

        const answer = yield* reprocess(server, id)
        assert.deepStrictEqual([answer.status, answer.json], [202, { orderId: id }])
        yield* awaitOrders({ FAILED: 1 })
        const again = (yield* timeline(server, id)).slice(history.length)
        assert.deepStrictEqual(
          again.map(({ event }) => event),
          ["reprocessed", ...threeAttempts]
        )
        assert.deepStrictEqual(
          again.map(({ attempt }) => attempt),
          [1, 1, 1, 2, 2, 3, 3]
        )
      }).pipe(withOwnSchema)
  )

  it.live("of many reprocess calls for one order exactly one is answered 202 and the others 409", () =>
    Effect.gen(function* () {
      const first = yield* start({ ...failing, ORDER_WORKER_MAX_RETRIES: 1 })
      const ids = yield* Effect.all(Array.from({ length: 6 }, () => submit(first)))
      yield* awaitOrders({ FAILED: 6 })
      first.kill("SIGKILL")
      yield* first.exit

      // The only slot of this worker is in use, so a reprocessed order stays as the call left it.
      const server = yield* start(busy)
      const blocker = yield* submit(server)
      yield* awaitStatus("PROCESSING", server, blocker)

      const [one = "", ...others] = ids
      assert.strictEqual((yield* reprocess(server, one)).status, 202)
      const { failureReason, retryCount, status } = yield* order(server, one)
      assert.deepStrictEqual(
        { failureReason, retryCount, status },
        { failureReason: null, retryCount: 0, status: "PENDING" }
      )
      assert.strictEqual((yield* timeline(server, one)).at(-1)?.event, "reprocessed")
      assert.strictEqual((yield* call(`${server.url}/dlq/${one}`)).status, 409)
      const refused = yield* reprocess(server, one)
      assert.deepStrictEqual([refused.status, refused.json.type], [409, "urn:order-platform:not-in-dlq"])

      for (const id of others) {
        const answers = yield* Effect.all(
          Array.from({ length: 20 }, () => reprocess(server, id)),
          {
            concurrency: "unbounded"
          }
        )
        const statuses = answers.map(({ status }) => status).sort()
        assert.deepStrictEqual(statuses, [202, ...Array.from({ length: 19 }, () => 409)])
        const events = (yield* timeline(server, id)).map(({ event }) => event)
        assert.deepStrictEqual(events, ["created", "started", "failed", "reprocessed"])
      }
      assert.deepStrictEqual(yield* deadLetters(server), [])
      yield* awaitOrders({ PENDING: 6, PROCESSING: 1 })

      const unknown = yield* reprocess(server, randomUUID())
      assert.deepStrictEqual([unknown.status, unknown.json.type], [404, "urn:order-platform:not-found"])
      const notAnId = yield* reprocess(server, "order-1")
      assert.deepStrictEqual([notAnId.status, notAnId.json.type], [400, "urn:order-platform:invalid-request"])
    }).pipe(withOwnSchema)
  )
})
