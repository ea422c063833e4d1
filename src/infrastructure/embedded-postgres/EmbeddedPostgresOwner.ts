import { Effect, Schedule } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { promisify } from "node:util"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresIdentity.ts"

/** The layout of the data directory: `data` belongs to PostgreSQL, the rest to this program. */
export const layout = (directory: string) => ({
  data: path.join(directory, "data"),
  fresh: path.join(directory, "data.new"),
  password: path.join(directory, "password"),
  owner: path.join(directory, "owner"),
  pidFile: path.join(directory, "data", "postmaster.pid")
})

const run = promisify(execFile)
const ps = (column: string, pid: number) =>
  run("ps", ["-o", `${column}=`, "-p", String(pid)]).then(
    ({ stdout }) => stdout.trim(),
    () => ""
  )

/**
 * The start time of a process, in a unit of the platform; empty if the process is not running. Pid and start
 * time identify a process even if the pid is reused.
 */
const startOf = (pid: number) =>
  process.platform === "linux"
    ? fs.readFile(`/proc/${pid}/stat`, "utf8").then(
        (stat) => {
          // The name in parentheses may contain spaces. After the name come the state (field 3) and, further
          // on, the start time (field 22).
          const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
          return fields[0] === "Z" ? "" : (fields[19] ?? "")
        },
        () => ""
      )
    : ps("lstart", pid)

/** Whether the process is a PostgreSQL server on this directory, and not another process with the same pid. */
const worksOn = (pid: number, data: string) =>
  process.platform === "linux"
    ? Promise.all([fs.readlink(`/proc/${pid}/cwd`), fs.readlink(`/proc/${pid}/exe`)]).then(
        ([cwd, exe]) => cwd === data && path.basename(exe).startsWith("postgres"),
        () => false
      )
    : ps("command", pid).then((command) => command.includes(data))

const signal = (pid: number, name: NodeJS.Signals) => {
  try {
    process.kill(pid, name)
  } catch {
    // The process has already ended.
  }
}

/** The pid in the postmaster's pid file, or 0. */
export const postmasterPid = (directory: string) =>
  fs.readFile(layout(directory).pidFile, "utf8").then(
    (text) => Number.parseInt(text, 10) || 0,
    () => 0
  )

/**
 * Stops what a previous owner or postmaster left behind: shuts down a postmaster (fast shutdown), kills
 * backends without a postmaster, which keep the shared memory, and deletes a pid file that names no running
 * postmaster of this directory. Only the owner of the directory may call this, and only while the owner runs
 * no postmaster.
 */
export const clearRemains = Effect.fnUntraced(function* (directory: string) {
  yield* Effect.promise(async () => {
    const data = await fs.realpath(layout(directory).data)
    const pid = await postmasterPid(directory)
    if (pid > 0 && (await worksOn(pid, data))) return signal(pid, "SIGINT")
    await fs.rm(layout(directory).pidFile, { force: true })
    if (process.platform !== "linux") return
    for (const entry of await fs.readdir("/proc")) {
      if (/^\d+$/.test(entry) && (await worksOn(Number(entry), data))) signal(Number(entry), "SIGKILL")
    }
  })
})

/**
 * Locks the directory for this process until the scope closes. Fails if another running process holds the
 * lock.
 */
export const ownDirectory = Effect.fnUntraced(function* (directory: string) {
  const { owner } = layout(directory)
  const mine = `${process.pid} ${yield* Effect.promise(() => startOf(process.pid))}`
  const draft = `${owner}.${process.pid}`
  const take = Effect.gen(function* () {
    yield* attempt(() => fs.writeFile(draft, mine))
    const holder = yield* attempt(() => fs.readFile(owner, "utf8")).pipe(Effect.orElseSucceed(() => ""))
    const pid = Number.parseInt(holder, 10)
    const started = pid > 0 ? yield* Effect.promise(() => startOf(pid)) : ""
    if (started !== "" && holder === `${pid} ${started}`) {
      yield* attempt(() => fs.rm(draft, { force: true }))
      return yield* new EmbeddedPostgresError({
        message: `The data directory ${directory} is in use by process ${pid}: stop that process, or set another database.dataDirectory, or DATABASE_URL.`
      })
    }
    // Two processes that find a dead owner may both get here. The lock file and shared memory of PostgreSQL
    // still admit only one postmaster.
    yield* attempt(() => fs.rename(draft, owner))
  })
  const release = attempt(async () => {
    if ((await fs.readFile(owner, "utf8")) === mine) await fs.rm(owner)
  })
  yield* Effect.acquireRelease(
    take.pipe(
      Effect.retry({
        // Waits two seconds for an owner that is stopping.
        while: (error) => error instanceof EmbeddedPostgresError,
        schedule: Schedule.spaced("200 millis").pipe(Schedule.upTo({ times: 10 }))
      })
    ),
    () => Effect.ignore(release),
    { interruptible: true }
  )
})
