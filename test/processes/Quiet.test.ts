import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"
import { call, onSchemaOfItsOwn, ordersAre, type Serving, start, submit } from "./OrderPlatformProcess.ts"

// What nobody asked for costs nothing.

const countSpans = fileURLToPath(new URL("countSpans.js", import.meta.url))

const json = (body: unknown) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body)
})

/** Orders from their submit to PROCESSED, read in every way; all of it succeeds. Then the process is stopped. */
const dayWithoutTrouble = Effect.fnUntraced(function* (server: Serving) {
  const id = yield* submit(server, { payload: { amount: 5 }, metadata: { shop: "one" } })
  const succeeds = (path: string, status = 200, init?: RequestInit) =>
    Effect.map(call(`${server.url}${path}`, init), (answer) =>
      assert.strictEqual(answer.status, status, path)
    )
  yield* succeeds("/orders/bulk", 202, json({ orders: [{ payload: {} }, { payload: {} }] }))
  yield* ordersAre({ PROCESSED: 3 })
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

describe("a process in which all goes well", { concurrent: true }, () => {
  it.live("logs its start, and nothing more: no line for a request, an order or its end", () =>
    Effect.gen(function* () {
      const server = yield* start(withoutFailures)
      yield* dayWithoutTrouble(server)
      const lines = server.stdout().trimEnd().split("\n")
      assert.strictEqual(lines.length, 1, server.stdout())
      assert.include(lines[0], "order-platform serves on")
      assert.strictEqual(server.stderr(), "")
    }).pipe(onSchemaOfItsOwn)
  )

  it.live("makes no span for a request, a statement or an order: nothing exports them", () =>
    Effect.gen(function* () {
      const server = yield* start({ ...withoutFailures, NODE_OPTIONS: `--import=${countSpans}` })
      yield* dayWithoutTrouble(server)
      assert.strictEqual(server.stderr(), 'spans: ["counted"]\n')
    }).pipe(onSchemaOfItsOwn)
  )
})
