import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { isWholeForm } from "../WholeForm.ts"
import { withOwnSchema, type Serving, start } from "./OrderPlatformProcess.ts"

const settings = { ORDER_WORKER_PROCESSING_DELAY_MS: 0, ORDER_WORKER_LEASE_MS: 1000 }

/** Sends the order with the key; null if the process ended before it answered. */
const send = (server: Serving, key: string) =>
  Effect.promise(async () => {
    try {
      const response = await fetch(`${server.url}/orders`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify({ payload: { key } })
      })
      return `${response.status} ${await response.text()}`
    } catch {
      return null
    }
  })

const ordersByKey = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const orders = sql(`${yield* DatabaseSchema}.orders`)
  const rows = yield* sql<{ readonly key: string; readonly n: number }>`
    SELECT payload->>'key' AS key, count(*)::int AS n FROM ${orders} GROUP BY 1`
  return new Map(rows.map(({ key, n }) => [key, n]))
})

describe("a request with an Idempotency-Key", { concurrent: true }, () => {
  it.live("sent 500 times at once makes one order and gets equal answers", () =>
    Effect.gen(function* () {
      const server = yield* start(settings)
      const answers = yield* Effect.forEach(Array.from({ length: 500 }), () => send(server, "one"), {
        concurrency: 500
      })
      assert.strictEqual(new Set(answers).size, 1)
      assert.match(answers[0] ?? "", /^202 /)
      assert.deepStrictEqual(yield* ordersByKey, new Map([["one", 1]]))
    }).pipe(withOwnSchema)
  )

  it.live("makes one order and gets one answer, whenever the process is killed in between", () =>
    Effect.gen(function* () {
      const keys = Array.from({ length: 20 }, (_, n) => `key ${n}`)
      const seen = new Map(keys.map((key) => [key, new Set<string>()]))
      const record = (key: string, answer: string | null) => {
        if (answer !== null) seen.get(key)?.add(answer)
        return answer
      }
      // The process is killed after this many answers.
      for (const killAfter of isWholeForm ? [0, 1, 15, 40] : [0, 15]) {
        const server = yield* start(settings)
        let answered = 0
        const sending = Effect.forEach(
          Array.from({ length: 100 }, (_, n) => keys[n % keys.length] ?? ""),
          (key) =>
            Effect.map(send(server, key), (answer) => {
              if (record(key, answer) !== null) answered++
              if (answered >= killAfter) server.kill("SIGKILL")
            }),
          { concurrency: 50, discard: true }
        )
        if (killAfter === 0)
          yield* Effect.forkChild(
            Effect.delay(
              Effect.sync(() => server.kill("SIGKILL")),
              "2 millis"
            )
          )
        yield* sending
        server.kill("SIGKILL")
        yield* server.exit
      }
      const server = yield* start(settings)
      yield* Effect.forEach(keys, (key) => Effect.map(send(server, key), (answer) => record(key, answer)), {
        concurrency: 20
      })
      for (const [key, answers] of seen) {
        assert.strictEqual(answers.size, 1, `${key}: ${[...answers].join(", ")}`)
        assert.match([...answers][0] ?? "", /^202 /)
      }
      assert.deepStrictEqual(
        [...(yield* ordersByKey)].sort(),
        keys.map((key): [string, number] => [key, 1]).sort()
      )
    }).pipe(withOwnSchema)
  )
})
