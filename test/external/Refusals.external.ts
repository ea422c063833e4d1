import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startProxy } from "../../chaos/Proxy.ts"
import { call, eventually, run, type Serving } from "../processes/OrderPlatformProcess.ts"
import { ownServer } from "./OwnServer.ts"
import { becomes, post, serveOn, statuses } from "./ServeOn.ts"

const linesWith = (server: Serving, text: string) =>
  server
    .stdout()
    .split("\n")
    .filter((line) => line.includes(text)).length

/** Checks that no defect was logged, and that each of the two lines was logged once. */
const assertLoggedOnce = (server: Serving, begin: string, end: string) => {
  assert.strictEqual(linesWith(server, begin), 1, server.stdout())
  assert.strictEqual(linesWith(server, end), 1, server.stdout())
  assert.notMatch(server.stdout(), /"level":"(ERROR|FATAL)"/i)
}

describe("a running process recovers from", () => {
  it.live("a revoked right when it is granted again", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer()
      yield* query("CREATE ROLE shop LOGIN")
      yield* query("GRANT CREATE ON SCHEMA public TO shop")
      const server = yield* serveOn(url.replace("postgres@", "shop@"))
      yield* becomes(server, 202, "10 seconds")
      yield* query("REVOKE INSERT ON orders FROM shop")
      yield* becomes(server, 503, "5 seconds")
      const { json } = yield* call<{ readonly type: string }>(`${server.url}/health/ready`)
      assert.strictEqual(json.type, "urn:order-platform:unavailable")
      yield* Effect.sleep("3 seconds")
      yield* query("GRANT INSERT ON orders TO shop")
      yield* becomes(server, 202, "5 seconds")
      assertLoggedOnce(
        server,
        "The database refuses: permission denied for table orders (SQLSTATE 42501)",
        "takes orders again"
      )
    }).pipe(Effect.scoped)
  )

  it.live("a rotated password and a locked role, with its connections cut", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer({
        prepare: async (data) => {
          const { writeFile } = await import("node:fs/promises")
          await writeFile(
            `${data}/pg_hba.conf`,
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
          )
        }
      })
      yield* query("CREATE ROLE shop LOGIN PASSWORD 'one'")
      yield* query("GRANT CREATE ON SCHEMA public TO shop")
      const server = yield* serveOn(url.replace("postgres@", "shop:one@"))
      yield* becomes(server, 202, "10 seconds")
      const cut = query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'")
      yield* query("ALTER ROLE shop PASSWORD 'two' NOLOGIN")
      yield* cut
      yield* becomes(server, 503, "5 seconds")
      yield* query("ALTER ROLE shop LOGIN")
      yield* Effect.sleep("3 seconds")
      yield* query("ALTER ROLE shop PASSWORD 'one'")
      yield* becomes(server, 202, "5 seconds")
      assertLoggedOnce(server, "The database does not answer: ", "The database answers again")
    }).pipe(Effect.scoped)
  )

  it.live("a dropped database that is restored, first without and then with its tables", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer()
      yield* query("CREATE DATABASE shop")
      const shop = url.replace(/postgres$/, "shop")
      const server = yield* serveOn(shop)
      yield* becomes(server, 202, "10 seconds")
      yield* query("DROP DATABASE shop WITH (FORCE)")
      yield* becomes(server, 503, "5 seconds")
      yield* query("CREATE DATABASE shop")
      yield* Effect.sleep("2 seconds")
      assert.deepStrictEqual(yield* statuses(server), [503, 503])
      const migrated = yield* run({ arguments: ["migrate"], environment: { DATABASE_URL: shop } })
      assert.strictEqual((yield* migrated.exit).code, 0, migrated.stderr())
      yield* becomes(server, 202, "5 seconds")
      assert.notMatch(server.stdout(), /"level":"(ERROR|FATAL)"/i)
    }).pipe(Effect.scoped)
  )

  it.live("an address that leads to a standby for some time", () =>
    Effect.gen(function* () {
      const primary = yield* ownServer()
      const standby = yield* ownServer({
        create: (data, run) =>
          run("pg_basebackup", ["-d", primary.url, "-D", data, "-R", "-X", "stream", "-c", "fast"])
      })
      const proxy = yield* Effect.acquireRelease(
        Effect.promise(() => startProxy(primary.port)),
        ({ close }) => Effect.promise(close)
      )
      const server = yield* serveOn(`postgres://postgres@127.0.0.1:${proxy.port}/postgres`)
      yield* becomes(server, 202, "10 seconds")
      // The standby has the tables.
      yield* eventually(
        "the standby has caught up",
        Effect.map(
          standby.query("SELECT to_regclass('orders') IS NOT NULL AS here"),
          ([row]) => row?.here === true || undefined
        )
      )
      proxy.redirectTo(standby.port)
      proxy.reset()
      yield* becomes(server, 503, "5 seconds")
      yield* Effect.sleep("8 seconds")
      assert.deepStrictEqual(yield* statuses(server), [503, 503])
      // Connections to the standby stay open: the process has to detect and replace them.
      proxy.redirectTo(primary.port)
      yield* becomes(server, 202, "5 seconds")
      yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => Effect.map(post(server), ({ status }) => assert.strictEqual(status, 202)),
        { concurrency: 20 }
      )
      assertLoggedOnce(server, "The database refuses: ", "takes orders again")
    }).pipe(Effect.scoped)
  )
})
