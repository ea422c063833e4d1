import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startPostgres } from "../../chaos/PostgresServer.ts"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { call, eventually, type Serving, start } from "../processes/OrderPlatformProcess.ts"
import { ownSchema } from "../TestPostgres.ts"

const restarts = 5
const perSecond = 80

/** A PostgreSQL server for this test, which it may crash. */
const postgres = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "order-platform-restarts-"))),
    (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  )
  // If the test is root, the server runs as another user, who needs access.
  yield* Effect.promise(() => chmod(directory, 0o755))
  return yield* Effect.acquireRelease(
    Effect.promise(() => startPostgres(directory)),
    ({ stop }) => Effect.promise(stop)
  )
})

interface Request {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly status: number
  readonly orderId: string | undefined
  readonly retryAfter: string | null
}

/** Submits orders at a fixed rate until it is interrupted, then waits for those in flight. */
const load = (api: Serving, requests: Array<Request>) =>
  Effect.gen(function* () {
    const submit = Effect.gen(function* () {
      const at = Date.now()
      const { headers, json, status } = yield* call<{ readonly orderId?: string }>(`${api.url}/orders`, {
        method: "POST"
      })
      requests.push({ at, status, orderId: json.orderId, retryAfter: headers.get("retry-after") })
    })
    const began = Date.now()
    const underWay: Array<Fiber.Fiber<void>> = []
    return yield* Effect.gen(function* () {
      underWay.push(yield* Effect.forkDetach(submit))
      yield* Effect.sleep(Math.max(0, began + (underWay.length * 1000) / perSecond - Date.now()))
    }).pipe(
      Effect.forever,
      Effect.onExit(() => Effect.forEach(underWay, Fiber.join))
    )
  })

const countIn = (times: ReadonlyArray<number>, from: number, until: number) =>
  times.filter((at) => at >= from && at < until).length

describe("a PostgreSQL server that crashes repeatedly", () => {
  it.live(
    "five restarts under load lose no order and cause no errors but 503, and throughput recovers within 5 s each time",
    () =>
      Effect.gen(function* () {
        const { crashAndRestart, url } = yield* postgres
        yield* Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const schema = yield* DatabaseSchema
          const settings = {
            DATABASE_URL: url,
            ORDER_QUEUE: "postgres",
            ORDER_WORKER_PROCESSING_DELAY_MS: 5,
            ORDER_WORKER_FAILURE_PROBABILITY: 0.1,
            ORDER_WORKER_RETRY_DELAY_MS: 100
          }
          const [api, worker] = yield* Effect.all(
            [start(settings, { arguments: ["api"] }), start(settings, { arguments: ["worker"] })],
            {
              concurrency: 2
            }
          )
          const requests: Array<Request> = []
          const clients = yield* Effect.forkScoped(load(api, requests))
          const returns: Array<number> = []
          yield* Effect.sleep("2 seconds")
          for (let n = 0; n < restarts; n++) {
            yield* Effect.promise(crashAndRestart)
            returns.push(Date.now())
            yield* Effect.sleep("5500 millis")
          }
          yield* Fiber.interrupt(clients)

          assert.deepStrictEqual(
            requests.filter(({ status }) => status !== 202 && status !== 503),
            []
          )
          assert.deepStrictEqual(
            requests.filter(({ retryAfter, status }) => status === 503 && !(Number(retryAfter) >= 1)),
            []
          )

          // An order answered 503 may be stored; every stored order becomes final.
          const stored = sql<{ readonly id: string; readonly status: string }>`
          SELECT id, status FROM ${sql(`${schema}.orders`)}`
          const ended = yield* eventually(
            "all orders have ended",
            Effect.map(stored, (rows) =>
              rows.every(({ status }) => status === "PROCESSED" || status === "FAILED") ? rows : undefined
            )
          )
          const ids = new Set(ended.map(({ id }) => id))
          const promised = requests.flatMap(({ orderId }) => orderId ?? [])
          assert.deepStrictEqual(
            promised.filter((id) => !ids.has(id)),
            [],
            "every order answered 202 is there"
          )

          const completed = (yield* sql<{ readonly at: number }>`
          SELECT extract(epoch FROM at)::float8 * 1000 AS at FROM ${sql(`${schema}.order_events`)}
          WHERE event IN ('completed', 'failed')`).map(({ at }) => at)
          const taken = requests.flatMap(({ at, status }) => (status === 202 ? at : []))
          const sent = requests.map(({ at }) => at)
          // Recovery is the first whole second in which as many orders are accepted, and as many become final, as are
          // sent.
          const backAfter = returns.map((back) => {
            const seconds = Array.from({ length: 41 }, (_, n) => back + n * 100)
            const from = seconds.find((from) => {
              const [asked, answered, ended] = [sent, taken, completed].map((times) =>
                countIn(times, from, from + 1000)
              ) as [number, number, number]
              return asked >= perSecond / 2 && answered >= asked * 0.95 && ended >= asked * 0.9
            })
            return from === undefined ? Infinity : from + 1000 - back
          })
          assert.isAtMost(
            Math.max(...backAfter),
            5000,
            `throughput was back after ${backAfter.join(", ")} ms`
          )
          for (const server of [api, worker])
            assert.strictEqual((yield* call(`${server.url}/health/ready`)).status, 200)
          assert.strictEqual(api.stderr() + worker.stderr(), "")
          console.log(
            `${promised.length} orders taken, ${requests.length - promised.length} answered 503, throughput back after ${backAfter.join(", ")} ms`
          )
        }).pipe(Effect.provide(ownSchema({ url, maxConnections: 2 })))
      }).pipe(Effect.scoped)
  )
})
