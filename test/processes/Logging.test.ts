import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { compileCache, databaseUrl, programs } from "../TestPostgres.ts"
import { isWholeForm } from "../WholeForm.ts"
import {
  call,
  eventually,
  freePort,
  withOwnSchema,
  awaitOrders,
  youngGeneration
} from "./OrderPlatformProcess.ts"

/** Runs a bash command in which `$RUN` starts the program, and waits until it is ready. */
const serveByBash = Effect.fnUntraced(function* (
  command: string,
  environment: Readonly<Record<string, string>>
) {
  const schema = yield* DatabaseSchema
  const port = yield* freePort
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("bash", ["-c", command], {
        // Its own process group, which is killed with the test.
        detached: true,
        stdio: "ignore",
        env: {
          PATH: process.env["PATH"],
          ...compileCache,
          RUN: `${process.execPath} ${youngGeneration.join(" ")} ${programs().orderPlatform}`,
          SERVER_PORT: String(port),
          DATABASE_URL: databaseUrl(),
          DATABASE_SCHEMA: schema,
          ...environment
        }
      })
    ),
    ({ pid }) =>
      Effect.sync(() => {
        try {
          if (pid !== undefined) process.kill(-pid, "SIGKILL")
        } catch {
          // The group is empty.
        }
      })
  )
  const url = `http://127.0.0.1:${port}`
  const ready = call(`${url}/health/ready`).pipe(
    Effect.map(({ status }) => (status === 200 ? true : undefined)),
    Effect.catchCause(() => Effect.succeed(undefined))
  )
  yield* eventually("it is ready", ready)
  return { child, url }
})

/** Submits many orders at once. */
const submitMany = (url: string, count: number) =>
  Effect.map(
    call(`${url}/orders/bulk`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ orders: Array.from({ length: count }, () => ({})) })
    }),
    ({ status }) => assert.strictEqual(status, 202)
  )

/** The number of events with this name. */
const eventCount = Effect.fnUntraced(function* (event: string) {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const rows = yield* sql`SELECT 1 FROM ${sql(`${schema}.order_events`)} WHERE event = ${event}`
  return rows.length
})

/** Every attempt fails and logs a line: at least 1,000 lines, several times what a pipe holds. */
const manyLines = {
  LOG_FORMAT: "json",
  LOG_LEVEL: "debug",
  ORDER_WORKER_FAILURE_PROBABILITY: "1",
  ORDER_WORKER_MAX_RETRIES: "4",
  ORDER_WORKER_RETRY_DELAY_MS: "0",
  ORDER_WORKER_DRAIN_TIMEOUT_MS: "1000"
}
const orders = isWholeForm ? 1000 : 100

const outputs = [
  ["is a pipe that is not read", "exec $RUN serve > >(sleep 1000) 2> >(sleep 1000)"],
  ["is closed by its reader", "exec $RUN serve > >(head -n 1) 2> >(exit 0)"],
  ["is a full disk", "exec $RUN serve > /dev/full 2> /dev/full"],
  ["is closed", "exec $RUN serve >&- 2>&-"]
] as const

describe("a process whose log", { concurrent: true }, () => {
  for (const [what, command] of isWholeForm ? outputs : outputs.slice(0, 1)) {
    it.live(`${what} processes its orders and stops cleanly`, () =>
      Effect.gen(function* () {
        const { child, url } = yield* serveByBash(command, manyLines)
        yield* submitMany(url, orders)
        yield* awaitOrders({ FAILED: orders })
        assert.strictEqual(yield* eventCount("started"), orders * 4)
        assert.strictEqual(yield* eventCount("expired"), 0)
        const ended = once(child, "exit")
        child.kill("SIGTERM")
        assert.deepStrictEqual(yield* Effect.promise(() => ended), [0, null])
      }).pipe(withOwnSchema)
    )
  }

  it.live.runIf(isWholeForm)("has a reader again logs how many lines were lost", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "order-platform-log-"))),
        (created) => Effect.sync(() => fs.rmSync(created, { recursive: true }))
      )
      const log = path.join(directory, "log")
      const { url } = yield* serveByBash(
        `mkfifo ${directory}/pipe; head -n 1 ${directory}/pipe > ${log} & exec $RUN serve > ${directory}/pipe`,
        manyLines
      )
      yield* submitMany(url, 10)
      yield* awaitOrders({ FAILED: 10 })
      const reader = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("cat", [`${directory}/pipe`], { stdio: ["ignore", "pipe", "ignore"] })),
        (cat) => Effect.sync(() => cat.kill())
      )
      let text = ""
      reader.stdout.on("data", (chunk) => void (text += String(chunk)))
      const line = yield* eventually(
        "the loss is logged",
        Effect.sync(() => /^.*lostLines.*$/m.exec(text)?.[0])
      )
      const record = JSON.parse(line) as Readonly<Record<string, unknown>>
      // Each of the 10 orders logs three retries and its failure; there may be more lines.
      const { lostLines, message } = record
      assert.isAtLeast(Number(lostLines), 40)
      assert.strictEqual(message, `${lostLines} log lines were lost: the log output failed.`)
    }).pipe(withOwnSchema)
  )

  it.live("is a terminal that is closed stops as on SIGTERM, which costs no order an attempt", () =>
    Effect.gen(function* () {
      // `script` gives the program a terminal, which is closed when `script` is killed.
      const { child, url } = yield* serveByBash(`exec script -qfc "exec $RUN serve" /dev/null`, {
        ORDER_WORKER_DRAIN_TIMEOUT_MS: "300",
        ORDER_WORKER_PROCESSING_DELAY_MS: "600000"
      })
      yield* submitMany(url, 10)
      yield* awaitOrders({ PROCESSING: 10 })
      child.kill("SIGKILL")
      yield* awaitOrders({ PENDING: 10 })
      assert.strictEqual(yield* eventCount("released"), 10)
      assert.strictEqual(yield* eventCount("expired"), 0)
    }).pipe(withOwnSchema)
  )
})
