import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { call, eventually, run } from "../processes/OrderPlatformProcess.ts"
import { ownServer } from "./OwnServer.ts"

const rounds = 4

describe("an accepted order", () => {
  it.live("is there after a crash of a server whose default is not to wait for the disk", () =>
    Effect.gen(function* () {
      const { crashAndRestart, query, url } = yield* ownServer({ settings: { wal_writer_delay: "10s" } })
      yield* query("ALTER DATABASE postgres SET synchronous_commit = off")
      const process = yield* run({
        environment: { SERVER_PORT: 0, LOG_FORMAT: "json", DATABASE_URL: url, ORDER_WORKER_CONCURRENCY: 1 }
      })
      const base = yield* eventually(
        "it serves",
        Effect.sync(() => /serves on (http:\/\/[^;]+);/.exec(process.stdout())?.[1])
      )
      const accepted: Array<string> = []
      for (let round = 0; round < rounds; round++) {
        let posting = true
        const post = Effect.gen(function* () {
          while (posting) {
            const { json, status } = yield* call<{ readonly orderId: string }>(`${base}/orders`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: "{}"
            })
            if (status === 202) accepted.push(json.orderId)
          }
        })
        const clients = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 16 }, () => post),
            { concurrency: "unbounded" }
          )
        )
        yield* Effect.sleep("2 seconds")
        yield* Effect.promise(crashAndRestart)
        posting = false
        clients.interruptUnsafe()
        const ids = accepted.map((id) => `'${id}'`).join(",")
        const rows = yield* eventually(
          "the server answers",
          Effect.map(
            Effect.option(query(`SELECT count(*)::int AS n FROM orders WHERE id IN (${ids})`)),
            (rows) => (rows._tag === "Some" ? rows.value : undefined)
          )
        )
        assert.strictEqual(rows[0]?.n, accepted.length, `round ${round}`)
      }
      assert.isAbove(accepted.length, 500)
    }).pipe(Effect.scoped)
  )
})
