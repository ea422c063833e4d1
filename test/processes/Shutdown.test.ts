import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { once } from "node:events"
import * as net from "node:net"
import { describe } from "vitest"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { databaseUrl } from "../TestPostgres.ts"
import {
  call,
  eventually,
  withOwnSchema,
  awaitOrders,
  ordersByStatus,
  type Process,
  type Serving,
  start,
  submit
} from "./OrderPlatformProcess.ts"

/** How long after the drain deadline a process may still run. */
const graceMs = 5000

const tenMinutesMs = 600_000

/** Submits orders that all become due at the same moment. */
const submitTogether = (server: Serving, count: number) => {
  const notBefore = new Date(Date.now() + 1000).toISOString()
  return Effect.all(
    Array.from({ length: count }, () => submit(server, { notBefore })),
    { concurrency: 16, discard: true }
  )
}

/** Signals the process; returns how it ended and how long that took. */
const stop = Effect.fnUntraced(function* (process: Process, signal: NodeJS.Signals) {
  const signalledAt = Date.now()
  process.kill(signal)
  const { at, code, signal: killedBy } = yield* process.exit
  return { code, killedBy, tookMs: at - signalledAt, stderr: process.stderr() }
})

const stopped = { code: 0, killedBy: null, stderr: "" }

const failuresCounted = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const [row] = yield* sql<{
    readonly n: number
  }>`SELECT sum(retry_count)::int AS n FROM ${sql(`${schema}.orders`)}`
  return row?.n
})

/** The number of events by name and attempt, because a release must not change the attempt. */
const eventCounts = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const rows = yield* sql<{ readonly event: string; readonly n: number }>`
    SELECT concat(event, ' ', attempt) AS event, count(*)::int AS n
    FROM ${sql(`${schema}.order_events`)} GROUP BY 1 ORDER BY 1`
  return Object.fromEntries(rows.map(({ event, n }) => [event, n]))
})

/** Calls a health endpoint on a new connection, like a load balancer; null if the connection is refused. */
const health = (server: Serving, which: "live" | "ready") =>
  Effect.catchCause(
    Effect.map(
      call(`${server.url}/health/${which}`, { headers: { connection: "close" } }),
      ({ status }) => status
    ),
    () => Effect.succeed(null)
  )

/**
 * Waits until this many attempts run. The database has them a moment before the process has the reply to its claim;
 * once the process has answered a later request that also goes to the database, it has that reply too.
 */
const attemptsRun = Effect.fnUntraced(function* (server: Serving, count: number) {
  yield* eventually(
    `${count} attempts run`,
    // Or have run: on a busy machine the first may be done before this check.
    Effect.map(ordersByStatus, ({ PROCESSED = 0, PROCESSING = 0 }) =>
      PROCESSING + PROCESSED >= count ? true : undefined
    )
  )
  assert.strictEqual(yield* health(server, "ready"), 200)
})

/** A proxy between a process and the database that can discard everything from a given moment on. */
const proxy = Effect.acquireRelease(
  Effect.promise(async () => {
    const { hostname, port } = new URL(databaseUrl())
    const sockets = new Set<net.Socket>()
    let discards = false
    const server = net.createServer((client) => {
      const database = net.connect(Number(port || 5432), hostname)
      for (const [from, to] of [
        [client, database],
        [database, client]
      ] as const) {
        sockets.add(from)
        from.on("data", (data) => void (discards || to.write(data)))
        from.on("close", () => void (discards || to.destroy()))
        from.on("error", () => from.destroy())
      }
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const url = new URL(databaseUrl())
    url.hostname = "127.0.0.1"
    url.port = String((server.address() as net.AddressInfo).port)
    const close = () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
    return { url: url.href, discard: () => void (discards = true), close }
  }),
  ({ close }) => Effect.sync(close)
)

describe("a process that is stopped", { concurrent: true }, () => {
  it.live("finishes its running attempts, starts no others and accepts no new connections", () =>
    Effect.gen(function* () {
      const drainTimeoutMs = 5000
      const settings = {
        ORDER_WORKER_CONCURRENCY: 20,
        ORDER_WORKER_PROCESSING_DELAY_MS: 500,
        ORDER_WORKER_DRAIN_TIMEOUT_MS: drainTimeoutMs,
        SERVER_DRAIN_DELAY_MS: 1000
      }
      const server = yield* start(settings)
      // Twenty-five times its slots, so that orders are left however late the signal arrives.
      yield* submitTogether(server, 500)
      yield* attemptsRun(server, 20)

      const whileDraining = Effect.gen(function* () {
        const refusal = yield* eventually(
          "it is not ready",
          Effect.map(health(server, "ready"), (status) => (status === 200 ? undefined : status))
        )
        assert.strictEqual(refusal, 503)
        const seen = { live: new Set<number | null>(), ready: new Set<number | null>([refusal]) }
        yield* eventually(
          "new connections are refused",
          Effect.gen(function* () {
            const live = yield* health(server, "live")
            const ready = yield* health(server, "ready")
            seen.live.add(live)
            seen.ready.add(ready)
            return live === null && ready === null ? true : undefined
          })
        )
        return seen
      })
      const [{ tookMs, ...ended }, seen] = yield* Effect.all([stop(server, "SIGTERM"), whileDraining], {
        concurrency: 2
      })
      assert.deepStrictEqual(ended, stopped)
      assert.isBelow(tookMs, drainTimeoutMs, "it waits for its attempts, not for the deadline")
      assert.deepStrictEqual(seen, { live: new Set([200, null]), ready: new Set([503, null]) })
      const { PENDING = 0, PROCESSED = 0, ...others } = yield* ordersByStatus
      assert.deepStrictEqual(others, {})
      assert.isAtLeast(PENDING, 1, "it stops although orders are waiting")
      assert.isAtLeast(PROCESSED, 10, "running attempts finish")
      assert.strictEqual(PENDING + PROCESSED, 500)
      assert.strictEqual(yield* failuresCounted, 0)

      yield* start({ ...settings, ORDER_WORKER_PROCESSING_DELAY_MS: 0 })
      yield* awaitOrders({ PROCESSED: 500 })
      // The orders of a concurrent claim are released, which costs no attempt.
      const { "released 1": released = 0, ...events } = yield* eventCounts
      assert.deepStrictEqual(events, { "created 1": 500, "started 1": 500 + released, "completed 1": 500 })
    }).pipe(withOwnSchema)
  )

  it.live("releases attempts that do not finish in time at no cost, on SIGTERM and on SIGINT", () =>
    Effect.gen(function* () {
      const drainTimeoutMs = 300
      const settings = {
        ORDER_WORKER_PROCESSING_DELAY_MS: tenMinutesMs,
        ORDER_WORKER_DRAIN_TIMEOUT_MS: drainTimeoutMs
      }
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const server = yield* start(settings)
        if (signal === "SIGTERM") yield* submitTogether(server, 50)
        yield* awaitOrders({ PROCESSING: 50 })
        // A claimed order that is not started yet is released at once. Answered requests show that all have started.
        for (let n = 0; n < 5; n++) yield* call(`${server.url}/health/ready`)
        const { tookMs, ...ended } = yield* stop(server, signal)
        assert.deepStrictEqual(ended, stopped)
        assert.isAtLeast(tookMs, drainTimeoutMs)
        assert.isBelow(tookMs, drainTimeoutMs + graceMs)
        yield* awaitOrders({ PENDING: 50 })
        assert.strictEqual(yield* failuresCounted, 0)
      }

      yield* start({ ORDER_WORKER_PROCESSING_DELAY_MS: 0 })
      yield* awaitOrders({ PROCESSED: 50 })
      assert.strictEqual(yield* failuresCounted, 0)
      assert.deepStrictEqual(yield* eventCounts, {
        "created 1": 50,
        "started 1": 150,
        "released 1": 100,
        "completed 1": 50
      })
    }).pipe(withOwnSchema)
  )

  it.live("exits 0 in time although the database does not answer; its orders then expire", () =>
    Effect.gen(function* () {
      const drainTimeoutMs = 300
      const { discard, url } = yield* proxy
      const settings = {
        ORDER_WORKER_LEASE_MS: 1000,
        ORDER_WORKER_DRAIN_TIMEOUT_MS: drainTimeoutMs,
        // Without it, the exit also writes the compile cache of the tests, which may take seconds on a busy machine.
        NODE_DISABLE_COMPILE_CACHE: "1"
      }
      const server = yield* start({
        ...settings,
        DATABASE_URL: url,
        ORDER_WORKER_PROCESSING_DELAY_MS: tenMinutesMs
      })
      yield* submitTogether(server, 10)
      yield* attemptsRun(server, 10)
      discard()
      const stoppedAt = new Date().toISOString()
      const { code, killedBy, stderr, tookMs } = yield* stop(server, "SIGTERM")
      assert.deepStrictEqual({ code, killedBy }, { code: 0, killedBy: null })
      const logs = `signalled at ${stoppedAt}\n${stderr}${server.stdout()}`
      assert.isBelow(tookMs, drainTimeoutMs + graceMs, logs)
      yield* awaitOrders({ PROCESSING: 10 })

      yield* start(settings)
      yield* awaitOrders({ PROCESSED: 10 })
      assert.deepStrictEqual(yield* eventCounts, {
        "created 1": 10,
        "started 1": 10,
        "expired 1": 10,
        "started 2": 10,
        "completed 2": 10
      })
    }).pipe(withOwnSchema)
  )
})
