import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { spawn } from "node:child_process"
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "../../chaos/FreePort.ts"
import {
  eventually,
  withOwnSchema,
  awaitOrders,
  run,
  start,
  submit
} from "../processes/OrderPlatformProcess.ts"
import { databaseUrl } from "../TestPostgres.ts"

/**
 * Starts Debian's PgBouncer in transaction mode before the test's database and returns its URL. It refuses to run as
 * root.
 */
const pgBouncer = Effect.gen(function* () {
  const target = new URL(databaseUrl())
  const port = yield* Effect.promise(freePort)
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "order-platform-pgbouncer-"))),
    (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
  )
  const password = decodeURIComponent(target.password)
  const database = target.pathname.slice(1)
  yield* Effect.promise(async () => {
    await chmod(directory, 0o755)
    await writeFile(join(directory, "users"), `"${target.username}" "${password}"\n`)
    await writeFile(
      join(directory, "pgbouncer.ini"),
      [
        "[databases]",
        `${database} = host=${target.hostname} port=${target.port} dbname=${database}`,
        "[pgbouncer]",
        `listen_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =`,
        `auth_type = trust\nauth_file = ${join(directory, "users")}`,
        "pool_mode = transaction\ndefault_pool_size = 5\nmax_client_conn = 100"
      ].join("\n")
    )
  })
  const lines: Array<string> = []
  const exited = yield* Deferred.make<void>()
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const user = process.getuid?.() === 0 ? ["-u", "postgres"] : []
      const child = spawn("pgbouncer", [...user, join(directory, "pgbouncer.ini")], {
        stdio: ["ignore", "pipe", "pipe"]
      })
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => lines.push(text))
      child.on("error", (error) => lines.push(error.message))
      child.on("exit", () => Deferred.doneUnsafe(exited, Effect.void))
      return child
    }),
    (child) =>
      Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        Deferred.await(exited)
      )
  )
  yield* eventually(
    "PgBouncer serves",
    Effect.sync(() => (lines.join("").includes("process up") ? true : undefined)),
    "10 seconds"
  )
  target.hostname = "127.0.0.1"
  target.port = String(port)
  return target.href
})

describe("behind PgBouncer in transaction mode", () => {
  it.live("a start with prepared statements ends with the setting to change", () =>
    Effect.gen(function* () {
      const process = yield* run({ environment: { SERVER_PORT: 0, DATABASE_URL: yield* pgBouncer } })
      assert.strictEqual((yield* process.exit).code, 1)
      assert.match(
        process.stderr(),
        /^The database \S+ cannot be used: unsupported startup parameter: \w+ \(SQLSTATE 08P01\); behind a pooler, set database\.prepare \(DATABASE_PREPARE\) to false\.\n$/
      )
    }).pipe(Effect.scoped)
  )

  it.live(
    "orders are accepted and processed with prepared statements off and LISTEN on a direct connection",
    () =>
      withOwnSchema(
        Effect.gen(function* () {
          const url = yield* pgBouncer
          const environment = { DATABASE_URL: url, DATABASE_PREPARE: "false", ORDER_QUEUE: "postgres" }
          const server = yield* start({ ...environment, DATABASE_LISTEN_URL: databaseUrl() })
          yield* Effect.forEach(Array.from({ length: 200 }), () => submit(server), { concurrency: 20 })
          yield* awaitOrders({ PROCESSED: 200 })
          const alone = yield* start(environment)
          assert.include(alone.stdout(), "queue: postgres, by polling only")
          yield* Effect.forEach(Array.from({ length: 20 }), () => submit(alone), { concurrency: 5 })
          yield* awaitOrders({ PROCESSED: 220 })
        })
      )
  )
})
