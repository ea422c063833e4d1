import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"
import { sourcePrograms } from "../BundledProgram.ts"
import { call, withOwnSchema, awaitOrders, type Serving, start, submit } from "./OrderPlatformProcess.ts"

const countSpans = fileURLToPath(new URL("countSpans.js", import.meta.url))

const json = (body: unknown) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body)
})

/** Submits orders, waits until they are PROCESSED, calls every route that reads them, and stops the process. */
const runOrders = Effect.fnUntraced(function* (server: Serving) {
  const id = yield* submit(server, { payload: { amount: 5 }, metadata: { shop: "one" } })
  const succeeds = (path: string, status = 200, init?: RequestInit) =>
    Effect.map(call(`${server.url}${path}`, init), (answer) =>
      assert.strictEqual(answer.status, status, path)
    )
  yield* succeeds("/orders/bulk", 202, json({ orders: [{ payload: {} }, { payload: {} }] }))
  yield* awaitOrders({ PROCESSED: 3 })
  for (const path of [
    `/orders/${id}`,
    `/orders/${id}/timeline`,
    `/orders/${id}/events`,
    "/orders?status=PROCESSED",
    "/dlq",
    "/stats",
    "/metrics",
    "/health/ready"
  ])
    yield* succeeds(path)
  server.kill("SIGTERM")
  assert.deepInclude(yield* server.exit, { code: 0 })
})

const withoutFailures = { ORDER_WORKER_PROCESSING_DELAY_MS: 0, ORDER_WORKER_FAILURE_PROBABILITY: 0 }

describe("a process without errors", { concurrent: true }, () => {
  it.live("logs its start and nothing else: no line per request or order", () =>
    Effect.gen(function* () {
      const server = yield* start(withoutFailures)
      yield* runOrders(server)
      // The server of the tests runs without fsync, which is logged at start.
      const lines = server
        .stdout()
        .trimEnd()
        .split("\n")
        .filter((line) => !line.includes("fsync = off"))
      assert.strictEqual(lines.length, 1, server.stdout())
      assert.include(lines[0], "order-platform serves on")
      assert.strictEqual(server.stderr(), "")
    }).pipe(withOwnSchema)
  )

  it.live("makes no span for a request, a statement or an order when nothing exports them", () =>
    Effect.gen(function* () {
      // The module that counts must be the Effect of the program, which is inside the bundle.
      const server = yield* start(
        { ...withoutFailures, NODE_OPTIONS: `--import=${countSpans}` },
        { program: sourcePrograms.orderPlatform }
      )
      yield* runOrders(server)
      assert.strictEqual(server.stderr(), 'spans: ["counted"]\n')
    }).pipe(withOwnSchema)
  )
})
