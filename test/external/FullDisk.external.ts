import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chown, mkdir, open, readFile, rm, stat, statfs } from "node:fs/promises"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually, type Serving } from "../processes/OrderPlatformProcess.ts"
import { connected, directory, ownServer } from "./OwnServer.ts"
import { becomes, post, serveOn } from "./ServeOn.ts"

const mount = (path: string) =>
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", path], { stdio: "ignore" })

const canMount = (() => {
  const path = mkdtempSync(join(tmpdir(), "order-platform-mount-"))
  try {
    mount(path)
    execFileSync("umount", [path])
    return true
  } catch {
    return false
  } finally {
    rmSync(path, { recursive: true })
  }
})()

/** A disk of 160 MB that a test can fill completely. */
const smallDisk = Effect.gen(function* () {
  const path = yield* directory
  yield* Effect.acquireRelease(
    Effect.sync(() => mount(path)),
    () => Effect.sync(() => execFileSync("umount", ["-l", path]))
  )
  const filler = join(path, "filler")
  const block = Buffer.alloc(4096)
  const fill = Effect.promise(async () => {
    const { bavail, bsize } = await statfs(path)
    const file = await open(filler, "w")
    try {
      await file.write(Buffer.alloc(Math.max(0, bavail * bsize - block.length)))
      while (true) await file.write(block)
    } catch {
      // No space left.
    } finally {
      await file.close()
    }
  })
  return { path, fill, free: Effect.promise(() => rm(filler)) }
})

/** Submits orders of 20 kB from four clients until the scope closes. */
const submitAllTheTime = Effect.fnUntraced(function* (server: Serving) {
  const accepted: Array<string> = []
  const others = new Set<number>()
  const submitOne = Effect.gen(function* () {
    const { json, status } = yield* post(server, { payload: { text: randomBytes(10_000).toString("hex") } })
    if (status === 202) accepted.push(json.orderId)
    else others.add(status)
    yield* Effect.sleep("5 millis")
  })
  for (let n = 0; n < 4; n++) yield* Effect.forkScoped(Effect.forever(submitOne))
  return { accepted, others }
})

type Query = Effect.Success<ReturnType<typeof ownServer>>["query"]

/** Checks that every accepted order is stored and becomes PROCESSED. */
const allProcessed = (query: Query, accepted: ReadonlyArray<string>) =>
  eventually(
    "every accepted order is processed",
    Effect.map(
      query(
        `SELECT count(*)::int AS n FROM orders WHERE status = 'PROCESSED' AND id IN (${accepted.map((id) => `'${id}'`).join(",")})`
      ),
      ([row]) => (row?.n === accepted.length ? true : undefined)
    ),
    "60 seconds"
  )

describe.skipIf(!canMount)("a full disk (needs the right to mount one)", () => {
  it.live("under the tables refuses orders, and accepts them again when there is space", () =>
    Effect.gen(function* () {
      const disk = yield* smallDisk
      const server = yield* ownServer({
        prepare: async (data) => {
          const { gid, uid } = await stat(data)
          await mkdir(join(disk.path, "tables"))
          await chown(join(disk.path, "tables"), uid, gid)
        }
      })
      yield* server.query(`CREATE TABLESPACE small LOCATION '${join(disk.path, "tables")}'`)
      yield* server.query("CREATE DATABASE shop TABLESPACE small")
      const url = server.url.replace(/postgres$/, "shop")
      const process = yield* serveOn(url)
      const shop = yield* connected(url)
      yield* becomes(process, 202, "10 seconds")
      const { accepted, others } = yield* Effect.scoped(
        Effect.gen(function* () {
          const submitted = yield* submitAllTheTime(process)
          yield* Effect.sleep("1 second")
          assert.deepStrictEqual([...submitted.others], [])
          yield* disk.fill
          yield* becomes(process, 503, "10 seconds")
          yield* Effect.sleep("3 seconds")
          yield* disk.free
          yield* becomes(process, 202, "5 seconds")
          yield* Effect.sleep("1 second")
          return submitted
        })
      )
      assert.deepStrictEqual([...others], [503])
      yield* allProcessed(shop, accepted)
      assert.match(process.stdout(), /The database refuses: could not extend file [^\n]*\(SQLSTATE 53100\)/)
      assert.include(process.stdout(), "The database takes orders again.")
      assert.notMatch(process.stdout(), /"level":"(ERROR|FATAL)"/i)
    }).pipe(Effect.scoped)
  )

  it.live(
    "under the write-ahead log ends PostgreSQL, which has every accepted order after a restart with space",
    () =>
      Effect.gen(function* () {
        const disk = yield* smallDisk
        const server = yield* ownServer({
          settings: { wal_recycle: "off", max_wal_size: "8MB", min_wal_size: "2MB" },
          create: async (data, run) => {
            const log = join(disk.path, "log")
            const { gid, uid } = await stat(join(data, ".."))
            await mkdir(log)
            await chown(log, uid, gid)
            const options = "-U postgres -A trust -E UTF8 --locale=C --no-sync --wal-segsize=1".split(" ")
            await run("initdb", ["-D", data, "-X", log, ...options])
          }
        })
        const process = yield* serveOn(server.url)
        yield* becomes(process, 202, "10 seconds")
        const { accepted, others } = yield* Effect.scoped(
          Effect.gen(function* () {
            const submitted = yield* submitAllTheTime(process)
            yield* Effect.sleep("1 second")
            yield* disk.fill
            yield* becomes(process, 503, "10 seconds")
            yield* Effect.sleep("3 seconds")
            const log = yield* Effect.promise(() => readFile(join(server.data, "../../postgres.log"), "utf8"))
            assert.match(log, /PANIC:[^\n]*No space left on device/)
            yield* disk.free
            yield* Effect.promise(server.crashAndRestart)
            yield* becomes(process, 202, "5 seconds")
            return submitted
          })
        )
        assert.deepStrictEqual([...others], [503])
        yield* allProcessed(server.query, accepted)
        assert.notMatch(process.stdout(), /"level":"(ERROR|FATAL)"/i)
      }).pipe(Effect.scoped)
  )
})
