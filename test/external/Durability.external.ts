import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { call, eventually, run } from "../processes/OrderPlatformProcess.ts"
import { ownServer } from "./OwnServer.ts"

const rounds = 6

describe("an accepted order", () => {
  it.live("survives a crash of a server with synchronous_commit off", () =>
    Effect.gen(function* () {
      const { crashAndRestart, query, url } = yield* ownServer({ settings: { wal_writer_delay: "10s" } })
      yield* query("ALTER DATABASE postgres SET synchronous_commit = off")
      const process = yield* run({
        environment: {
          SERVER_PORT: 0,
          LOG_FORMAT: "json",
          DATABASE_URL: url,
          // One attempt that never ends: nothing else is written, so the last orders stay in the server's memory.
          ORDER_WORKER_CONCURRENCY: 1,
          ORDER_WORKER_PROCESSING_DELAY_MS: 600_000
        }
      })
      const base = yield* eventually(
        "it serves",
        Effect.sync(() => /serves on (http:\/\/[^;]+);/.exec(process.stdout())?.[1])
      )
      const post = call<{ readonly orderId: string }>(`${base}/orders`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}"
      })
      const accepted: Array<string> = []
      for (let round = 0; round < rounds; round++) {
        yield* eventually(
          "an order is accepted",
          Effect.map(post, ({ json, status }) => (status === 202 ? accepted.push(json.orderId) : undefined))
        )
        for (let n = 0; n < 20; n++) {
          const { json, status } = yield* post
          assert.strictEqual(status, 202)
          accepted.push(json.orderId)
        }
        yield* Effect.promise(crashAndRestart)
        const ids = accepted.map((id) => `'${id}'`).join(",")
        const rows = yield* eventually(
          "the server answers",
          Effect.map(
            Effect.exit(query(`SELECT count(*)::int AS n FROM orders WHERE id IN (${ids})`)),
            (exit) => (Exit.isSuccess(exit) ? exit.value : undefined)
          )
        )
        assert.strictEqual(rows[0]?.n, accepted.length, `round ${round}`)
      }
    }).pipe(Effect.scoped)
  )
})
