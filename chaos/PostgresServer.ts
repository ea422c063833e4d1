import { Effect } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { findBinaries } from "../src/infrastructure/embedded-postgres/EmbeddedPostgresBinaries.ts"
import { freePort } from "./FreePort.ts"

const run = promisify(execFile)

/** A PostgreSQL server with default durability that can be crashed and restarted. */
export interface PostgresServer {
  readonly port: number
  readonly version: string
  /** A direct connection, not through a proxy. */
  readonly url: string
  /** Shuts down in immediate mode, without a flush, and starts again with crash recovery. */
  readonly crashAndRestart: () => Promise<void>
  /** Its data directory. */
  readonly data: string
  /** Runs a program of this PostgreSQL as the owner of the data. */
  readonly run: (program: string, args: ReadonlyArray<string>) => Promise<unknown>
  readonly stop: () => Promise<void>
}

interface Programs {
  readonly initdb: string
  readonly postgres: string
  readonly prefix: ReadonlyArray<string>
  readonly options: {
    readonly uid?: number
    readonly gid?: number
    readonly cwd: string
    readonly env: NodeJS.ProcessEnv
  }
}

const asRoot = process.geteuid?.() === 0

// The newest PostgreSQL of Debian; run as the user postgres if this program is root, because it refuses to run as root.
const debian = async (): Promise<Programs | null> => {
  const base = "/usr/lib/postgresql"
  const versions = await fs.readdir(base).catch(() => [])
  const newest = versions
    .map(Number)
    .filter(Number.isFinite)
    .sort((a, b) => b - a)[0]
  if (newest === undefined) return null
  const options = { cwd: "/", env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } }
  const programs = {
    initdb: `${base}/${newest}/bin/initdb`,
    postgres: `${base}/${newest}/bin/postgres`,
    prefix: []
  }
  if (!asRoot) return { ...programs, options }
  const passwd = await fs.readFile("/etc/passwd", "utf8")
  const [, , uid, gid] = /^postgres:.*$/m.exec(passwd)?.[0].split(":") ?? []
  return uid === undefined
    ? null
    : { ...programs, options: { ...options, uid: Number(uid), gid: Number(gid) } }
}

const embedded = async (directory: string): Promise<Programs> => {
  const { identity, initdb, postgres } = await Effect.runPromise(findBinaries(directory, undefined))
  const { options, prefix } = identity
  return { initdb, postgres, prefix, options: { cwd: "/", env: {}, ...options } }
}

// The same user, and the libraries of the programs: those of npm bring their own.
const elsewhere = async (bin: string): Promise<Programs | null> => {
  const found = await debian()
  if (found === null && asRoot) return null
  const options = found?.options ?? { cwd: "/", env: {} }
  return {
    initdb: path.join(bin, "initdb"),
    postgres: path.join(bin, "postgres"),
    prefix: [],
    options: { ...options, env: { ...options.env, LD_LIBRARY_PATH: path.join(bin, "..", "lib") } }
  }
}

export interface ServerOptions {
  /** Settings that override the defaults below. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** Changes the data directory before the first start. */
  readonly prepare?: (data: string) => Promise<void>
  /** The directory of the programs; Debian's newest or the embedded ones by default. */
  readonly programs?: string
  /** Creates the data directory: `initdb` by default, or a copy of another server's. */
  readonly create?: (data: string, run: PostgresServer["run"]) => Promise<unknown>
}

const chosen = (bin: string | undefined) => {
  if (bin !== undefined) return elsewhere(bin)
  return process.env["CHAOS_POSTGRES"] === "embedded" ? null : debian()
}

/** Creates a database cluster under `directory` and starts it. CHAOS_POSTGRES=embedded ignores Debian's PostgreSQL. */
export const startPostgres = async (
  directory: string,
  { create, prepare, programs: bin, settings: overrides = {} }: ServerOptions = {}
): Promise<PostgresServer> => {
  const home = path.join(directory, "postgres")
  await fs.mkdir(home, { mode: 0o700 })
  const programs = (await chosen(bin)) ?? (await embedded(home))
  const { options, prefix } = programs
  if (options.uid !== undefined) await fs.chown(home, options.uid, options.gid ?? -1)
  const data = path.join(home, "data")
  const command = (program: string, args: ReadonlyArray<string>) => {
    const [first = program, ...rest] = [...prefix, program, ...args]
    return [first, rest] as const
  }
  const runOnce = (program: string, args: ReadonlyArray<string>) => run(...command(program, args), options)
  const runProgram = (program: string, args: ReadonlyArray<string>) =>
    runOnce(path.join(path.dirname(programs.postgres), program), args)
  const initdb = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
  await (create === undefined ? runOnce(programs.initdb, initdb) : create(data, runProgram))
  await prepare?.(data)
  const { stdout: version } = await runOnce(programs.postgres, ["--version"])

  const port = await freePort()
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: 400,
    shared_buffers: "128MB",
    timezone: "UTC",
    log_min_messages: "fatal",
    ...overrides
  }
  let server: ChildProcess | null = null
  const log = await fs.open(path.join(directory, "postgres.log"), "a")

  const isReady = async (pid: number | undefined) => {
    const text = await fs.readFile(path.join(data, "postmaster.pid"), "utf8").catch(() => "")
    const lines = text.split("\n")
    return lines[0] === String(pid) && lines[7]?.trim() === "ready"
  }

  const start = async () => {
    // The backends of a killed postmaster may hold its shared memory for a moment; the start then fails once or twice.
    for (let attempt = 0; attempt < 50; attempt++) {
      const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
      const child = spawn(...command(programs.postgres, ["-D", data, ...args]), {
        ...options,
        detached: true, // so that Ctrl-C in a terminal reaches only this program
        stdio: ["ignore", log.fd, log.fd]
      })
      server = child
      while (child.exitCode === null && child.signalCode === null) {
        if (await isReady(child.pid)) return
        await sleep(20)
      }
      await sleep(100)
    }
    throw new Error(`PostgreSQL does not start; see postgres.log in ${directory}.`)
  }

  const stop = async (signal: NodeJS.Signals) => {
    const child = server
    server = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, "exit")
    child.kill(signal)
    const inTime = await Promise.race([exited.then(() => true), sleep(8000, false, { ref: false })])
    if (!inTime) {
      child.kill("SIGKILL")
      await exited
    }
  }

  await start()
  return {
    port,
    version: version.trim(),
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    data,
    run: runProgram,
    crashAndRestart: async () => {
      await stop("SIGQUIT")
      await start()
    },
    stop: async () => {
      await stop("SIGQUIT")
      await log.close()
    }
  }
}
