import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import * as net from "node:net"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { open, readToEnd } from "../RawHttp.ts"
import { keepAliveClient, type Seen } from "./KeepAliveClient.ts"
import { eventually, freePort, withOwnSchema, ordersByStatus, start } from "./OrderPlatformProcess.ts"
import { isWholeForm } from "../WholeForm.ts"

const post = `POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`

/** Locks the table of orders until the returned effect runs. */
const lockOrders = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const locked = yield* Deferred.make<void>()
  const release = yield* Deferred.make<void>()
  const holder = yield* Effect.forkScoped(
    sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`LOCK TABLE ${sql(`${schema}.orders`)} IN ACCESS EXCLUSIVE MODE`
        yield* Deferred.succeed(locked, undefined)
        yield* Deferred.await(release)
      })
    )
  )
  yield* Deferred.await(locked)
  return { unlock: Effect.andThen(Deferred.succeed(release, undefined), Fiber.join(holder)) }
})

/** Waits until a statement of another connection waits for the lock. */
const statementWaits = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  yield* eventually(
    "a statement waits for the lock",
    Effect.map(
      sql`SELECT 1 FROM pg_locks WHERE NOT granted AND relation = ${`${schema}.orders`}::regclass`,
      (rows) => (rows.length > 0 ? true : undefined)
    )
  )
})

/** Whether new connections are refused. */
const isRefused = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.on("error", () => resume(Effect.succeed(true)))
  })

const partsOf = (answer: string) => {
  const [head = "", body = ""] = answer.split("\r\n\r\n")
  return { head, status: /^HTTP\/1\.1 (\d+)/.exec(head)?.[1], body }
}

describe("requests at shutdown", { concurrent: true }, () => {
  it.live("an order that was read before SIGTERM is answered 202 once it is stored", () =>
    Effect.gen(function* () {
      const server = yield* start()
      const socket = yield* open(Number(new URL(server.url).port))
      const answer = yield* Effect.forkScoped(readToEnd(socket))
      const { unlock } = yield* lockOrders
      socket.write(post)
      yield* statementWaits
      server.kill("SIGTERM")
      yield* eventually(
        "new connections are refused",
        Effect.map(isRefused(Number(new URL(server.url).port)), (refused) => refused || undefined)
      )
      yield* unlock
      const { body, head, status } = partsOf(yield* Fiber.join(answer))
      assert.strictEqual(status, "202", body)
      assert.match(head, /\r\nconnection: close/i)
      assert.deepInclude(yield* server.exit, { code: 0 })
      // A claim that also waited for the lock may have processed it.
      assert.deepStrictEqual(Object.values(yield* ordersByStatus), [1])
    }).pipe(withOwnSchema)
  )

  it.live("an order whose outcome is not known in time is answered with a problem that says so", () =>
    Effect.gen(function* () {
      const server = yield* start({ ORDER_WORKER_DRAIN_TIMEOUT_MS: 300 })
      const socket = yield* open(Number(new URL(server.url).port))
      const answer = yield* Effect.forkScoped(readToEnd(socket))
      yield* lockOrders
      socket.write(post)
      yield* statementWaits
      const stopped = Date.now()
      server.kill("SIGTERM")
      const { body, head, status } = partsOf(yield* Fiber.join(answer))
      assert.strictEqual(status, "503")
      const problem = JSON.parse(body) as Readonly<Record<string, unknown>>
      assert.strictEqual(problem["type"], "urn:order-platform:unavailable")
      assert.include(problem["detail"], "unknown")
      assert.match(head, /\r\nconnection: close/i)
      assert.notMatch(head, /\r\nretry-after/i, "a client must not repeat it blindly")
      const { at, code } = yield* server.exit
      assert.strictEqual(code, 0)
      assert.isBelow(at - stopped, 300 + 5000)
    }).pipe(withOwnSchema)
  )

  it.live(
    "readiness is 503 and the listener stays for server.drainDelayMs, then idle connections are closed",
    () =>
      Effect.gen(function* () {
        const server = yield* start({ SERVER_DRAIN_DELAY_MS: 1000 })
        const port = Number(new URL(server.url).port)
        const [idle, used] = yield* Effect.all([open(port), open(port)])
        const closed = yield* Effect.forkScoped(Effect.map(readToEnd(idle), (text) => [text, Date.now()]))
        const signalledAt = Date.now()
        server.kill("SIGTERM")
        const ready = "GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n"
        const statusOnNewConnection = Effect.gen(function* () {
          const socket = yield* open(port)
          socket.write(ready.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
          return partsOf(yield* readToEnd(socket)).status
        })
        yield* eventually(
          "it is not ready",
          Effect.map(Effect.scoped(statusOnNewConnection), (status) => status === "503" || undefined)
        )
        const answer = yield* Effect.forkScoped(readToEnd(used))
        used.write(ready)
        assert.match(partsOf(yield* Fiber.join(answer)).head, /^HTTP\/1\.1 503[^]*\r\nconnection: close/i)
        const [text, at] = yield* Fiber.join(closed)
        assert.strictEqual(text, "")
        assert.isAtLeast(Number(at) - signalledAt, 1000)
        assert.deepInclude(yield* server.exit, { code: 0 })
      }).pipe(withOwnSchema)
  )

  const restarts = isWholeForm ? 3 : 1
  const clients = 24

  it.live("clients with keep-alive connections lose no answer and store no order twice across restarts", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const settings = { SERVER_PORT: port, ORDER_WORKER_DRAIN_TIMEOUT_MS: 2000 }
      let running = true
      const broken: Array<string> = []
      const unknown = new Set<string>()
      const acknowledged: Array<string> = []
      const lastOn = new Map<net.Socket, Seen>()

      /** Sends one order until it is answered; repeats it only if it cannot have been stored. */
      const submitOnce = Effect.fnUntraced(function* (
        client: ReturnType<typeof keepAliveClient>,
        serial: string
      ) {
        while (running) {
          const seen = yield* client.post({ metadata: { serial } })
          if (seen.socket !== undefined && typeof seen.outcome === "number") lastOn.set(seen.socket, seen)
          if (seen.outcome === 202) return acknowledged.push(serial)
          if (seen.outcome === "ECONNREFUSED" || (seen.outcome === 503 && seen.retryAfter)) {
            yield* Effect.sleep("20 millis")
            continue
          }
          if (seen.outcome === 503 && seen.body.includes("unknown")) return unknown.add(serial)
          return broken.push(`${seen.outcome} ${JSON.stringify(seen.body)}`)
        }
      })
      const load = Effect.forEach(
        Array.from({ length: clients }, (_, n) => n),
        Effect.fnUntraced(function* (n) {
          const client = keepAliveClient(port)
          for (let serial = 0; running; serial++) yield* submitOnce(client, `${n}-${serial}`)
          client.close()
        }),
        { concurrency: clients }
      )

      let server = yield* start(settings)
      const fiber = yield* Effect.forkScoped(load)
      for (let n = 0; n < restarts; n++) {
        const before = acknowledged.length
        yield* eventually(
          "orders arrive",
          Effect.sync(() => acknowledged.length > before + 200 || undefined)
        )
        const open = new Set(lastOn.keys())
        server.kill("SIGTERM")
        assert.deepInclude(yield* server.exit, { code: 0 })
        const withoutClose = [...open].filter((socket) => lastOn.get(socket)?.closes !== true)
        assert.lengthOf(withoutClose, 0, "connections without Connection: close")
        lastOn.clear()
        server = yield* start(settings)
      }
      running = false
      yield* Fiber.join(fiber)

      assert.deepStrictEqual(broken, [])
      const sql = yield* SqlClient.SqlClient
      const schema = yield* DatabaseSchema
      const stored = yield* sql<{ readonly serial: string; readonly n: number }>`
        SELECT metadata->>'serial' AS serial, count(*)::int AS n FROM ${sql(`${schema}.orders`)} GROUP BY 1`
      const times = new Map(stored.map(({ n, serial }) => [serial, n]))
      assert.deepStrictEqual(
        stored.filter(({ n }) => n > 1),
        [],
        "stored twice"
      )
      assert.deepStrictEqual(
        acknowledged.filter((serial) => !times.has(serial)),
        [],
        "acknowledged and lost"
      )
    }).pipe(withOwnSchema)
  )
})
