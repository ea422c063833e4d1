import { assert, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { spawn } from "node:child_process"
import * as os from "node:os"
import { describe } from "vitest"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { postgresProxy } from "../PostgresProxy.ts"
import { compileCache, databaseUrl, programs } from "../TestPostgres.ts"
import { idleContract } from "./idleContract.ts"
import {
  call,
  type Ended,
  eventually,
  withOwnSchema,
  order,
  awaitOrders,
  ordersByStatus,
  type Serving,
  submit,
  timeline,
  youngGeneration
} from "./OrderPlatformProcess.ts"

// API and workers as separate processes, with one fault at a time. `npm run chaos` injects all of them at once.

const { orderPlatform, scriptedWorker } = programs()
const commands = {
  api: [orderPlatform, "api"],
  worker: [orderPlatform, "worker"],
  scripted: [scriptedWorker]
}

const endless = 600_000

/** Starts one of the programs on the test's schema, and waits until it serves. It is killed when the scope ends. */
const start = Effect.fnUntraced(function* (
  program: keyof typeof commands,
  environment: Readonly<Record<string, string | number>> = {}
) {
  const settings = {
    SERVER_PORT: 0,
    LOG_FORMAT: "json",
    ORDER_QUEUE: "postgres",
    DATABASE_URL: databaseUrl(),
    DATABASE_SCHEMA: yield* DatabaseSchema,
    ...environment
  }
  const ended = yield* Deferred.make<Ended>()
  const output = { stdout: "", stderr: "" }
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [...youngGeneration, ...commands[program]], {
        cwd: os.tmpdir(),
        env: {
          ...compileCache,
          ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]))
        },
        stdio: ["ignore", "pipe", "pipe"]
      })
      child.stdout.setEncoding("utf8").on("data", (text: string) => void (output.stdout += text))
      child.stderr.setEncoding("utf8").on("data", (text: string) => void (output.stderr += text))
      child.on("exit", (code, signal) =>
        Deferred.doneUnsafe(ended, Effect.succeed({ code, signal, at: Date.now() }))
      )
      return child
    }),
    (child) =>
      Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        Deferred.await(ended)
      )
  )
  const url = yield* eventually(
    `the ${program} serves; stderr: ${output.stderr}`,
    Effect.sync(() => /order-platform serves on (http:\/\/[^;]+);/.exec(output.stdout)?.[1])
  )
  return {
    url,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    kill: (signal) => void child.kill(signal),
    exit: Deferred.await(ended)
  } satisfies Serving
})

const submitAll = (api: Serving, count: number, body: Readonly<Record<string, unknown>> = {}) =>
  Effect.all(
    Array.from({ length: count }, () => submit(api, body)),
    { concurrency: 16 }
  )

interface Row {
  readonly order_id: string
  readonly event: string
  readonly version: number
  readonly worker: string | null
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** The history of all orders, by SQL. */
const history = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  return yield* sql<Row>`
    SELECT order_id, event, version, worker, extract(epoch FROM at)::float8 * 1000 AS at
    FROM ${sql(`${schema}.order_events`)} ORDER BY order_id, version`
})

/** Everything stored about all orders, for comparison. */
const allTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const orders = yield* sql`SELECT * FROM ${sql(`${schema}.orders`)} ORDER BY id`
  const deadLetters = yield* sql`SELECT * FROM ${sql(`${schema}.dead_letters`)} ORDER BY order_id`
  const ledger = yield* sql`SELECT * FROM ${sql(`${schema}.chaos_ledger`)} ORDER BY order_id`
  return { orders, deadLetters, ledger, history: yield* history }
})

const makeLedger = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* sql`CREATE TABLE ${sql(`${schema}.chaos_ledger`)} (order_id uuid, attempt int, token text)`
})

/** How long each order waited between its creation and its first start, by the database's clock. */
const waits = (rows: ReadonlyArray<Row>, ids: ReadonlyArray<string>): ReadonlyArray<number> =>
  ids.map((id) => {
    const of = rows.filter(({ order_id }) => order_id === id)
    const [created, started] = [of[0]?.at, of.find(({ event }) => event === "started")?.at]
    return created === undefined || started === undefined ? Number.POSITIVE_INFINITY : started - created
  })

/** The value of a counter or gauge without labels in GET /metrics. */
const metric = (server: Serving, name: string) =>
  Effect.map(call<string>(`${server.url}/metrics`), ({ json }) =>
    Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(json)?.[1] ?? Number.NaN)
  )

describe("a lost worker or database", { concurrent: true }, () => {
  it.live("all 100 orders of a killed worker are started by another within its lease plus 2 s", () =>
    Effect.gen(function* () {
      const leaseMs = 3000
      const settings = { ORDER_WORKER_LEASE_MS: leaseMs, ORDER_WORKER_PROCESSING_DELAY_MS: endless }
      const api = yield* start("api")
      const lost = yield* start("worker", settings)
      yield* submitAll(api, 100)
      yield* awaitOrders({ PROCESSING: 100 })
      yield* start("worker", settings)
      lost.kill("SIGKILL")
      const { at: killed } = yield* lost.exit
      const again = yield* eventually(
        "all are started again",
        Effect.map(history, (rows) => {
          const starts = rows.filter(({ event, version }) => event === "started" && version > 2)
          return starts.length === 100 ? starts : undefined
        })
      )
      assert.isAtMost(Math.max(...again.map(({ at }) => at)) - killed, leaseMs + 2000)
      const workers = new Set((yield* history).flatMap(({ worker }) => worker ?? []))
      assert.strictEqual(
        workers.size,
        2,
        "the first starts were all of one worker, the second all of the other"
      )
    }).pipe(withOwnSchema)
  )

  it.live("an order that ends the process of every worker ends in the DLQ as WORKER_LOST", () =>
    Effect.gen(function* () {
      const settings = { ORDER_WORKER_LEASE_MS: 1000 }
      const [api, first, second] = yield* Effect.all(
        [start("api"), start("scripted", settings), start("scripted", settings)],
        { concurrency: 3 }
      )
      const id = yield* submit(api, { payload: { kill: true }, maxRetries: 2 })
      yield* Effect.all([first.exit, second.exit], { concurrency: 2 })
      yield* start("scripted", settings)
      yield* awaitOrders({ FAILED: 1 })
      const { json } = yield* call<{ readonly reasonCode: string; readonly retryCount: number }>(
        `${api.url}/dlq/${id}`
      )
      assert.strictEqual(json.reasonCode, "WORKER_LOST")
      assert.strictEqual(json.retryCount, 2)
      assert.deepStrictEqual(
        (yield* timeline(api, id)).map(({ event }) => event),
        ["created", "started", "expired", "started", "expired"]
      )
    }).pipe(withOwnSchema)
  )

  it.live("the results of a frozen worker are dropped and counted after its lease has expired", () =>
    Effect.gen(function* () {
      const settings = { ORDER_WORKER_LEASE_MS: 1000 }
      const api = yield* start("api")
      const frozen = yield* start("scripted", settings)
      yield* makeLedger
      // Attempts still run when it is frozen and are done when it wakes, so it has results to settle.
      yield* submitAll(api, 10, { payload: { workMs: 3000 } })
      yield* submitAll(api, 10, { payload: { workMs: 3000, writes: true } })
      yield* awaitOrders({ PROCESSING: 20 })
      // The orders are stored before the worker has the reply to its claim; frozen before that, it would have started
      // nothing.
      yield* eventually(
        "its attempts are running",
        Effect.map(metric(frozen, "order_worker_in_flight"), (n) => (n === 20 ? true : undefined))
      )
      frozen.kill("SIGSTOP")
      yield* start("scripted", settings)
      yield* awaitOrders({ PROCESSED: 20 })
      const before = yield* allTables
      assert.strictEqual(before.ledger.length, 10)
      frozen.kill("SIGCONT")
      yield* eventually(
        "its attempts are over",
        Effect.map(metric(frozen, "order_worker_in_flight"), (n) => (n === 0 ? true : undefined))
      )
      // An attempt is over before its outcome is settled.
      yield* eventually(
        "its results are dropped",
        Effect.map(metric(frozen, "order_worker_stale_settles_total"), (n) => (n >= 1 ? true : undefined))
      )
      assert.deepStrictEqual(yield* allTables, before)
      // It still processes orders.
      yield* submitAll(api, 1)
      yield* awaitOrders({ PROCESSED: 21 })
    }).pipe(withOwnSchema)
  )

  it.live(
    "while PostgreSQL is unavailable orders are answered 503 and nothing crashes; then work continues by itself",
    () =>
      Effect.gen(function* () {
        const network = yield* postgresProxy
        const settings = {
          DATABASE_URL: network.url,
          DATABASE_STATEMENT_TIMEOUT_MS: 1000,
          DATABASE_ACQUIRE_TIMEOUT_MS: 1000,
          ORDER_WORKER_LEASE_MS: 3000
        }
        const [api, worker] = yield* Effect.all([start("api", settings), start("worker", settings)], {
          concurrency: 2
        })
        yield* submitAll(api, 10)
        yield* awaitOrders({ PROCESSED: 10 })
        let processed = 10
        for (const [trouble, breakNetwork] of [
          ["refused", network.refuse],
          ["silent", network.discard]
        ] as const) {
          const output = [api, worker].map((server) => server.stdout().length)
          breakNetwork()
          const answer = yield* call<{ readonly type: string }>(`${api.url}/orders`, { method: "POST" })
          assert.strictEqual(answer.status, 503, trouble)
          assert.strictEqual(answer.json.type, "urn:order-platform:unavailable")
          assert.isAtLeast(Number(answer.headers.get("retry-after")), 1)
          for (const server of [api, worker]) {
            assert.strictEqual((yield* call(`${server.url}/health/ready`)).status, 503, trouble)
            assert.strictEqual((yield* call(`${server.url}/health/live`)).status, 200, trouble)
          }
          for (const [n, server] of [api, worker].entries())
            yield* eventually(
              `the log says that the database is ${trouble}`,
              Effect.sync(
                () => server.stdout().slice(output[n]).includes("The database does not answer") || undefined
              ),
              "5 seconds"
            )
          // Long enough for the worker to notice it too.
          yield* Effect.sleep("1500 millis")
          network.heal()
          const healedAt = Date.now()
          const submitted = yield* eventually(
            `orders are accepted again after the database was ${trouble}`,
            Effect.map(call<{ orderId?: string }>(`${api.url}/orders`, { method: "POST" }), (again) =>
              again.status === 202 ? again.json.orderId : undefined
            ),
            "5 seconds"
          )
          processed++
          yield* eventually(
            `orders are processed again after the database was ${trouble}`,
            Effect.map(order(api, submitted), ({ status }) => (status === "PROCESSED" ? true : undefined)),
            "5 seconds"
          )
          assert.isAtMost(Date.now() - healedAt, 5000, trouble)
          for (const server of [api, worker])
            yield* eventually(
              "it is ready",
              Effect.map(call(`${server.url}/health/ready`), ({ status }) =>
                status === 200 ? true : undefined
              ),
              "5 seconds"
            )
        }
        // After a 503 the order may be stored; every stored order is processed.
        const { PENDING = 0, PROCESSING = 0 } = yield* eventually(
          "every stored order is final",
          Effect.map(ordersByStatus, (counts) =>
            (counts["PROCESSED"] ?? 0) >= processed ? counts : undefined
          )
        )
        assert.strictEqual(PENDING + PROCESSING, 0)
        assert.strictEqual(api.stderr() + worker.stderr(), "")
      }).pipe(withOwnSchema)
  )

  idleContract(12)
})

// These tests measure milliseconds, so they run one after the other.
describe("a terminated listener and busy connections", () => {
  it.live("orders are claimed at once again soon after the backend of the listener was terminated", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const channel = `${yield* DatabaseSchema}_order_platform`
      // It does not poll: orders are claimed after an announcement or by the claim that follows the reconnect.
      const worker = { ORDER_WORKER_POLL_INTERVAL_MS: endless }
      const [api] = yield* Effect.all([start("api"), start("worker", worker)], { concurrency: 2 })
      const listeners = sql<{ pid: number }>`
        SELECT pid FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND strpos(query, ${channel}) > 0`
      const [listener] = yield* eventually(
        "the worker listens",
        Effect.map(listeners, (rows) => (rows.length === 1 ? rows : undefined))
      )
      const ids = yield* submitAll(api, 1)
      yield* awaitOrders({ PROCESSED: 1 })

      yield* sql`SELECT pg_terminate_backend(${listener?.pid ?? 0})`
      const terminated = Date.now()
      const missed = yield* submit(api)
      yield* awaitOrders({ PROCESSED: 2 })
      yield* eventually(
        "an order is claimed within 50 ms",
        Effect.gen(function* () {
          ids.push(yield* submit(api))
          yield* awaitOrders({ PROCESSED: ids.length + 1 })
          const [latest] = waits(yield* history, ids.slice(-1))
          return latest !== undefined && latest < 50 ? true : undefined
        }),
        "5 seconds"
      )
      assert.isBelow(Date.now() - terminated, 5000)
      // A busy machine may delay one of them, but not most.
      const after: Array<string> = []
      for (let n = 0; n < 9; n++) {
        after.push(yield* submit(api))
        yield* awaitOrders({ PROCESSED: ids.length + 1 + after.length })
      }
      const [median] = [...waits(yield* history, after)].sort((a, b) => a - b).slice(4)
      assert.isBelow(median ?? Number.NaN, 50)
      assert.isBelow(waits(yield* history, [missed])[0] ?? Number.NaN, 5000)
    }).pipe(withOwnSchema)
  )

  it.live("the writes of 100 attempts block neither renewals nor claims", () =>
    Effect.gen(function* () {
      const settings = {
        DATABASE_MAX_CONNECTIONS: 10,
        ORDER_WORKER_CONCURRENCY: 200,
        // The writes take this long, so a heartbeat that waits for them is too late.
        ORDER_WORKER_LEASE_MS: 2000
      }
      const [api, worker] = yield* Effect.all([start("api"), start("scripted", settings)], { concurrency: 2 })
      yield* makeLedger
      const writing = { payload: { writes: true, writeMs: 50 } }
      // Six at a time commit, so 300 keep their connections busy for two and a half seconds.
      yield* submitAll(api, 100, writing)
      const others: Array<string> = []
      let written = 100
      while (others.length < 40) {
        others.push(yield* submit(api, { priority: 9 }))
        if (others.length % 8 === 0 && written < 300) {
          yield* submitAll(api, 50, writing)
          written += 50
        }
        yield* Effect.sleep("50 millis")
      }
      yield* awaitOrders({ PROCESSED: written + others.length })
      const rows = yield* history
      assert.deepStrictEqual(
        rows.filter(({ event }) => event === "expired"),
        [],
        "no lease is lost"
      )
      assert.isBelow(Math.max(...waits(rows, others)), 1000, "no claim waited for writes")
      assert.strictEqual((yield* allTables).ledger.length, written)
      assert.notInclude(worker.stdout(), "was lost")
    }).pipe(withOwnSchema)
  )
})
