import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { freePort } from "./FreePort.ts"
import { type Proxy, startProxy } from "./Proxy.ts"

const fileOf = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const programs = {
  api: [fileOf("../bin/order-platform.js"), "api"],
  worker: [fileOf("worker.ts")]
}

/** The exit code of chaos/worker.ts when an order killed it. */
const killedByOrder = 86

/** One run of a process; times in milliseconds since the epoch. */
export interface ProcessRun {
  readonly name: string
  readonly kind: "api" | "worker"
  readonly pid: number
  servesFrom: number | null
  endedAt: number | null
}

/** What was observed of all processes. */
export interface Observations {
  readonly runs: Array<ProcessRun>
  /** Workers killed by an order. */
  readonly killedByOrders: Array<{ readonly pid: number; readonly at: number }>
  /** Processes that ended without a signal, with their last output. */
  readonly unexpectedExits: Array<string>
  /** Processes whose start failed, because the database was unavailable. */
  readonly failedStarts: Array<string>
  /** Clean stops that took too long or did not exit 0. */
  readonly uncleanStops: Array<string>
  /** The number of lines logged as ERROR or FATAL, or written to stderr, by message. */
  readonly errorsLogged: Map<string, number>
}

/** One process of the real program behind its own proxy; it is restarted whenever it ends. */
export interface OrderProcess {
  readonly name: string
  readonly kind: "api" | "worker"
  readonly url: string
  readonly proxy: Proxy
  readonly pid: () => number
  readonly isUp: () => boolean
  readonly signal: (signal: NodeJS.Signals) => void
  /** Sends SIGTERM and waits for the exit, and records a stop that is late or not clean. */
  readonly stopCleanly: (withinMs: number) => Promise<void>
  readonly end: () => Promise<void>
}

export interface ProcessOptions {
  readonly directory: string
  readonly databasePort: number
  readonly observations: Observations
  readonly environment: Readonly<Record<string, string | number>>
}

/** Starts a process and restarts it whenever it ends, until `end`. */
export const keepRunning = async (
  kind: "api" | "worker",
  name: string,
  { databasePort, directory, environment, observations }: ProcessOptions
): Promise<OrderProcess> => {
  const proxy = await startProxy(databasePort)
  const port = await freePort()
  const log = fs.openSync(path.join(directory, `${name}.log`), "a")
  let child: ChildProcess | null = null
  let life: ProcessRun | null = null
  let ending = false
  let endedOnPurpose = false

  const record = (line: string) => {
    fs.writeSync(log, `${line}\n`)
    const level = /"level":"(\w+)"/.exec(line)?.[1]
    if (level !== undefined && !/^(error|fatal)$/i.test(level)) return
    const message = /"message":"((?:[^"\\]|\\.){0,160})/.exec(line)?.[1] ?? line.slice(0, 160)
    const kindOfMessage = `${kind}: ${message.replaceAll(/[0-9a-f-]{36}/g, "…")}`
    observations.errorsLogged.set(kindOfMessage, (observations.errorsLogged.get(kindOfMessage) ?? 0) + 1)
  }

  const start = () => {
    const url = `postgres://postgres@127.0.0.1:${proxy.port}/postgres`
    const started = spawn(process.execPath, programs[kind], {
      cwd: directory,
      env: Object.fromEntries(
        Object.entries({ ...environment, SERVER_PORT: port, DATABASE_URL: url }).map(([k, v]) => [
          k,
          String(v)
        ])
      ),
      detached: true, // so that Ctrl-C in a terminal reaches only this program
      stdio: ["ignore", "pipe", "pipe"]
    })
    const current: ProcessRun = { name, kind, pid: started.pid ?? 0, servesFrom: null, endedAt: null }
    child = started
    life = current
    endedOnPurpose = false
    observations.runs.push(current)
    let rest = ""
    let last = ""
    const read = (text: string) => {
      last = (last + text).slice(-600)
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        if (line.includes("order-platform serves on")) current.servesFrom ??= Date.now()
        if (line !== "") record(line)
      }
    }
    started.stdout.setEncoding("utf8").on("data", read)
    started.stderr.setEncoding("utf8").on("data", read)
    started.on("exit", (code, signal) => {
      current.endedAt = Date.now()
      if (code === killedByOrder) observations.killedByOrders.push({ pid: current.pid, at: current.endedAt })
      else if (!endedOnPurpose && !ending) {
        const what = `${name} (pid ${current.pid}) ended with ${signal ?? code}: ${last.trim().slice(-300)}`
        if (current.servesFrom === null) observations.failedStarts.push(what)
        else observations.unexpectedExits.push(what)
      }
      if (!ending) setTimeout(() => !ending && start(), 1000)
    })
  }

  const exited = async (running: ChildProcess) => {
    if (running.exitCode === null && running.signalCode === null) await once(running, "exit")
  }
  start()

  return {
    name,
    kind,
    url: `http://127.0.0.1:${port}`,
    proxy,
    pid: () => life?.pid ?? 0,
    isUp: () => life !== null && life.servesFrom !== null && life.endedAt === null,
    signal: (signal) => {
      if (signal === "SIGKILL") endedOnPurpose = true
      child?.kill(signal)
    },
    stopCleanly: async (withinMs) => {
      const stopping = child
      if (stopping === null) return
      endedOnPurpose = true
      const signalledAt = Date.now()
      stopping.kill("SIGTERM")
      const late = setTimeout(() => stopping.kill("SIGKILL"), withinMs + 5000)
      await exited(stopping)
      clearTimeout(late)
      const tookMs = Date.now() - signalledAt
      if (stopping.exitCode === killedByOrder) return
      if (tookMs > withinMs || stopping.exitCode !== 0)
        observations.uncleanStops.push(
          `${name} ended with ${stopping.signalCode ?? stopping.exitCode} after ${tookMs} ms`
        )
    },
    end: async () => {
      ending = true
      if (child !== null) {
        child.kill("SIGKILL")
        await exited(child)
      }
      await proxy.close()
      fs.closeSync(log)
    }
  }
}

/** Waits until all processes accept requests. */
export const allServe = async (processes: ReadonlyArray<OrderProcess>, withinMs: number): Promise<void> => {
  const deadline = Date.now() + withinMs
  while (!processes.every(({ isUp }) => isUp())) {
    if (Date.now() > deadline) {
      const missing = processes.filter(({ isUp }) => !isUp()).map(({ name }) => name)
      throw new Error(`${missing.join(", ")} did not start within ${withinMs} ms.`)
    }
    await sleep(50)
  }
}
