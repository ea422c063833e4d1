import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { appendFile, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { everyWay, fullCircle } from "../infrastructure/postgres/FullCircle.ts"
import { connected, ownServer } from "./OwnServer.ts"
import { becomes, serveOn } from "./ServeOn.ts"
import { storesOn } from "./StoresOn.ts"

/** `works` if a full circle of an order succeeds with this URL, else the reason. */
const by = (url: string, maxConnections?: number) =>
  Effect.map(
    Effect.exit(Effect.provide(fullCircle, storesOn(url, "public", maxConnections))),
    Exit.match({
      onFailure: Cause.pretty,
      onSuccess: (events) => (events.join() === everyWay.join() ? "works" : events.join())
    })
  )

describe("an order takes its full circle", () => {
  it.live("by a Unix socket, given as the host, as a parameter, and without a password", () =>
    Effect.gen(function* () {
      const { data, port } = yield* ownServer({
        settings: { unix_socket_directories: "..", listen_addresses: "" }
      })
      const sockets = join(data, "..")
      const encoded = encodeURIComponent(sockets)
      assert.strictEqual(yield* by(`postgres://postgres@${encoded}:${port}/postgres`), "works")
      assert.strictEqual(
        yield* by(`postgresql:///postgres?host=${encoded}&port=${port}&user=postgres`),
        "works"
      )
      for (const url of [
        `postgres://postgres@/postgres?host=${sockets}&port=${port}`,
        `postgres://postgres@${encoded}:${port}/postgres`
      ])
        yield* becomes(yield* serveOn(url), 202, "10 seconds")
    }).pipe(Effect.scoped)
  )

  it.live("by an IPv6 address and by a name that resolves to one", () =>
    Effect.gen(function* () {
      const { port } = yield* ownServer({ settings: { listen_addresses: "::1" } })
      assert.strictEqual(yield* by(`postgres://postgres@[::1]:${port}/postgres`), "works")
      assert.strictEqual(yield* by(`postgres://postgres@elsewhere:${port}/postgres?hostaddr=::1`), "works")
    }).pipe(Effect.scoped)
  )

  it.live("with a database, role and password that need percent-encoding", () =>
    Effect.gen(function* () {
      const { port, query } = yield* ownServer({
        prepare: async (data) => {
          const file = join(data, "pg_hba.conf")
          const others = await readFile(file, "utf8")
          await writeFile(file, 'host all "Shop: A@B" 127.0.0.1/32 scram-sha-256\n')
          await appendFile(file, others)
        }
      })
      const [name, role, password] = ['Orders / "of" 100% ü?#', "Shop: A@B", "p@ss:w/o?r#d%20 é"]
      yield* query(`CREATE ROLE "${role}" LOGIN PASSWORD '${password}'`)
      yield* query(`CREATE DATABASE "${name.replaceAll('"', '""')}" OWNER "${role}"`)
      yield* query(`CREATE DATABASE "ORDERS" OWNER "${role}"`)
      const user = `${encodeURIComponent(role)}:${encodeURIComponent(password)}`
      const at = (database: string) => `postgres://${user}@127.0.0.1:${port}/${database}`
      assert.strictEqual(yield* by(at(encodeURIComponent(name))), "works")
      assert.strictEqual(yield* by(at("ORDERS")), "works")
      assert.match(
        yield* by(at("orders")),
        /database "orders" does not exist \(SQLSTATE 3D000\); create the database, or name another one in database\.url\./
      )
    }).pipe(Effect.scoped)
  )
})

describe("a start is refused in one sentence", () => {
  it.live("if the URL names several hosts", () =>
    Effect.gen(function* () {
      const { port } = yield* ownServer()
      assert.match(
        yield* by(`postgres://postgres@127.0.0.1:${port},127.0.0.1:${port}/postgres`),
        /database\.url names several hosts: name one address that leads to the primary\./
      )
    }).pipe(Effect.scoped)
  )

  for (const free of [1, 3])
    it.live(`if the server allows ${free} connections and the pool may open ${free + 1}, not ${free}`, () =>
      Effect.gen(function* () {
        const { url } = yield* ownServer({
          settings: { max_connections: free + 3, superuser_reserved_connections: 3, max_wal_senders: 0 }
        })
        // This connection is closed again, because it would count.
        yield* Effect.scoped(
          Effect.gen(function* () {
            const query = yield* connected(url)
            yield* query("CREATE ROLE shop LOGIN")
            yield* query("GRANT CREATE ON SCHEMA public TO shop")
          })
        )
        const shop = url.replace("postgres@", "shop@")
        assert.match(
          yield* by(shop, free + 1),
          new RegExp(`The server may have ${free} connections and the pool up to ${free + 1}: lower`)
        )
        // The settings do not allow a pool of one connection.
        if (free > 1) assert.strictEqual(yield* by(shop, free), "works")
      }).pipe(Effect.scoped)
    )
})
