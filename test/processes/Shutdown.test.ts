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
  onSchemaOfItsOwn,
  ordersAre,
  ordersByStatus,
  type Process,
  type Serving,
  start,
  submit
} from "./OrderPlatformProcess.ts"

/** How long after the drain deadline a process may still be there. */
const graceMs = 5000

const endless = 600_000

/** Submits orders that all become due at the same moment. */
const submitTogether = (server: Serving, count: number) => {
  const notBefore = new Date(Date.now() + 1000).toISOString()
  return Effect.all(
    Array.from({ length: count }, () => submit(server, { notBefore })),
    { concurrency: 16, discard: true }
  )
}

/** Signals the process, and answers how it ended and how long it took. */
const stop = Effect.fnUntraced(function* (process: Process, signal: NodeJS.Signals) {
  const told = Date.now()
  process.kill(signal)
  const { at, code, signal: killedBy } = yield* process.exit
  return { code, killedBy, tookMs: at - told, said: process.stderr() }
})

const stopped = { code: 0, killedBy: null, said: "" }

const failuresCounted = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const [row] = yield* sql<{
    readonly n: number
  }>`SELECT sum(retry_count)::int AS n FROM ${sql(`${schema}.orders`)}`
  return row?.n
})

/** How often each event happened, by name; with its attempt, since a release must not change it. */
const eventCounts = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const rows = yield* sql<{ readonly event: string; readonly n: number }>`
    SELECT concat(event, ' ', attempt) AS event, count(*)::int AS n
    FROM ${sql(`${schema}.order_events`)} GROUP BY 1 ORDER BY 1`
  return Object.fromEntries(rows.map(({ event, n }) => [event, n]))
})

/** Asks on a connection of its own, as a load balancer does; null once nobody listens any more. */
const health = (server: Serving, which: "live" | "ready") =>
  Effect.catchCause(
    Effect.map(
      call(`${server.url}/health/${which}`, { headers: { connection: "close" } }),
      ({ status }) => status
    ),
    () => Effect.succeed(null)
  )

/**
 * Waits until so many attempts run. The database knows of them a moment before the process has the answer to its
 * claim; once it has answered another question, which goes to the database too, it has that one as well.
 */
const attemptsRun = Effect.fnUntraced(function* (server: Serving, count: number) {
  yield* eventually(
    `${count} attempts run`,
    // Or have run: on a busy machine the first may be done before anybody looks.
    Effect.map(ordersByStatus, ({ PROCESSED = 0, PROCESSING = 0 }) =>
      PROCESSING + PROCESSED >= count ? true : undefined
    )
  )
  assert.strictEqual(yield* health(server, "ready"), 200)
})

/** Stands between a process and the database, and can swallow all that either says from then on. */
const proxy = Effect.acquireRelease(
  Effect.promise(async () => {
    const { hostname, port } = new URL(databaseUrl())
    const sockets = new Set<net.Socket>()
    let swallows = false
    const server = net.createServer((client) => {
      const database = net.connect(Number(port || 5432), hostname)
      for (const [from, to] of [
        [client, database],
        [database, client]
      ] as const) {
        sockets.add(from)
        from.on("data", (data) => void (swallows || to.write(data)))
        from.on("close", () => void (swallows || to.destroy()))
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
    return { url: url.href, swallow: () => void (swallows = true), close }
  }),
  ({ close }) => Effect.sync(close)
)

describe("a process that is told to stop", { concurrent: true }, () => {
  it.live("running attempts finish, nothing is started any more, and nobody new is let in", () =>
    Effect.gen(function* () {
      const drainTimeoutMs = 5000
      const settings = {
        ORDER_WORKER_CONCURRENCY: 20,
        ORDER_WORKER_PROCESSING_DELAY_MS: 500,
        ORDER_WORKER_DRAIN_TIMEOUT_MS: drainTimeoutMs,
        SERVER_DRAIN_DELAY_MS: 1000
      }
      const server = yield* start(settings)
      // Twenty-five rounds of its hands, so that there is more to do however late the signal comes.
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
          "nobody listens any more",
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
      assert.isBelow(tookMs, drainTimeoutMs, "it waits for its attempts and not for the deadline")
      assert.deepStrictEqual(seen, { live: new Set([200, null]), ready: new Set([503, null]) })
      const { PENDING = 0, PROCESSED = 0, ...others } = yield* ordersByStatus
      assert.deepStrictEqual(others, {})
      assert.isAtLeast(PENDING, 1, "it stops although there is more to do")
      assert.isAtLeast(PROCESSED, 10, "what runs may finish")
      assert.strictEqual(PENDING + PROCESSED, 500)
      assert.strictEqual(yield* failuresCounted, 0)

      yield* start({ ...settings, ORDER_WORKER_PROCESSING_DELAY_MS: 0 })
      yield* ordersAre({ PROCESSED: 500 })
      // A claim that was on its way meanwhile is given back, which is no attempt.
      const { "released 1": released = 0, ...events } = yield* eventCounts
      assert.deepStrictEqual(events, { "created 1": 500, "started 1": 500 + released, "completed 1": 500 })
    }).pipe(onSchemaOfItsOwn)
  )

  it.live(
    "attempts that do not finish in time are released and charged nothing, on SIGTERM and on SIGINT",
    () =>
      Effect.gen(function* () {
        const drainTimeoutMs = 300
        const settings = {
          ORDER_WORKER_PROCESSING_DELAY_MS: endless,
          ORDER_WORKER_DRAIN_TIMEOUT_MS: drainTimeoutMs
        }
        for (const signal of ["SIGTERM", "SIGINT"] as const) {
          const server = yield* start(settings)
          if (signal === "SIGTERM") yield* submitTogether(server, 50)
          yield* ordersAre({ PROCESSING: 50 })
          // Claimed is not begun: what no hand has taken yet is released at once. An answer shows that it has had its turn.
          for (let n = 0; n < 5; n++) yield* call(`${server.url}/health/ready`)
          const { tookMs, ...ended } = yield* stop(server, signal)
          assert.deepStrictEqual(ended, stopped)
          assert.isAtLeast(tookMs, drainTimeoutMs)
          assert.isBelow(tookMs, drainTimeoutMs + graceMs)
          yield* ordersAre({ PENDING: 50 })
          assert.strictEqual(yield* failuresCounted, 0)
        }

        yield* start({ ORDER_WORKER_PROCESSING_DELAY_MS: 0 })
        yield* ordersAre({ PROCESSED: 50 })
        assert.strictEqual(yield* failuresCounted, 0)
        assert.deepStrictEqual(yield* eventCounts, {
          "created 1": 50,
          "started 1": 150,
          "released 1": 100,
          "completed 1": 50
        })
      }).pipe(onSchemaOfItsOwn)
  )

  it.live("it exits 0 in time although the database does not answer; its orders then count as lost", () =>
    Effect.gen(function* () {
      const drainTimeoutMs = 300
      const { swallow, url } = yield* proxy
      const settings = { ORDER_WORKER_LEASE_MS: 1000, ORDER_WORKER_DRAIN_TIMEOUT_MS: drainTimeoutMs }
      const server = yield* start({
        ...settings,
        DATABASE_URL: url,
        ORDER_WORKER_PROCESSING_DELAY_MS: endless
      })
      yield* submitTogether(server, 10)
      yield* attemptsRun(server, 10)
      swallow()
      const { code, killedBy, tookMs } = yield* stop(server, "SIGTERM")
      assert.deepStrictEqual({ code, killedBy }, { code: 0, killedBy: null })
      assert.isBelow(tookMs, drainTimeoutMs + graceMs)
      yield* ordersAre({ PROCESSING: 10 })

      yield* start(settings)
      yield* ordersAre({ PROCESSED: 10 })
      assert.deepStrictEqual(yield* eventCounts, {
        "created 1": 10,
        "started 1": 10,
        "expired 1": 10,
        "started 2": 10,
        "completed 2": 10
      })
    }).pipe(onSchemaOfItsOwn)
  )
})
