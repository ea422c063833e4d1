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

/** The exit code by which chaos/worker.ts says that an order ended it. */
const killedByOrder = 86

/** How one life of a process went: milliseconds since the epoch. */
export interface Life {
  readonly name: string
  readonly kind: "api" | "worker"
  readonly pid: number
  servesFrom: number | null
  endedAt: number | null
}

/** What a run has seen of its processes. */
export interface Witness {
  readonly lives: Array<Life>
  /** Workers that an order ended. */
  readonly killedByOrders: Array<{ readonly pid: number; readonly at: number }>
  /** Processes that ended although nobody ended them, with the last they said. */
  readonly endedByThemselves: Array<string>
  /** Processes that did not come up, because the database was away or cut off just then. */
  readonly startsThatFailed: Array<string>
  /** Clean stops that took too long or did not exit 0. */
  readonly stopsThatWereNotClean: Array<string>
  /** Lines logged as ERROR or FATAL, and anything on stderr; the first of each message. */
  readonly errorsLogged: Map<string, number>
}

/** One process of the real program behind a proxy of its own; it is started again whenever it ends. */
export interface OrderProcess {
  readonly name: string
  readonly kind: "api" | "worker"
  readonly url: string
  readonly proxy: Proxy
  readonly pid: () => number
  readonly isUp: () => boolean
  readonly signal: (signal: NodeJS.Signals) => void
  /** SIGTERM; answers when it is gone, having noted whether it went as promised. */
  readonly stopCleanly: (withinMs: number) => Promise<void>
  readonly end: () => Promise<void>
}

export interface Surroundings {
  readonly directory: string
  readonly databasePort: number
  readonly witness: Witness
  readonly environment: Readonly<Record<string, string | number>>
}

/** Starts a process and keeps it started until `end`. */
export const keepRunning = async (
  kind: "api" | "worker",
  name: string,
  { databasePort, directory, environment, witness }: Surroundings
): Promise<OrderProcess> => {
  const proxy = await startProxy(databasePort)
  const port = await freePort()
  const log = fs.openSync(path.join(directory, `${name}.log`), "a")
  let child: ChildProcess | null = null
  let life: Life | null = null
  let ending = false
  let endedOnPurpose = false

  const note = (line: string) => {
    fs.writeSync(log, `${line}\n`)
    const level = /"level":"(\w+)"/.exec(line)?.[1]
    if (level !== undefined && !/^(error|fatal)$/i.test(level)) return
    const message = /"message":"((?:[^"\\]|\\.){0,160})/.exec(line)?.[1] ?? line.slice(0, 160)
    const kindOfMessage = `${kind}: ${message.replaceAll(/[0-9a-f-]{36}/g, "…")}`
    witness.errorsLogged.set(kindOfMessage, (witness.errorsLogged.get(kindOfMessage) ?? 0) + 1)
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
      detached: true, // Ctrl-C of a terminal must not reach it before it reaches us
      stdio: ["ignore", "pipe", "pipe"]
    })
    const lived: Life = { name, kind, pid: started.pid ?? 0, servesFrom: null, endedAt: null }
    child = started
    life = lived
    endedOnPurpose = false
    witness.lives.push(lived)
    let rest = ""
    let last = ""
    const hear = (text: string) => {
      last = (last + text).slice(-600)
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        if (line.includes("order-platform serves on")) lived.servesFrom ??= Date.now()
        if (line !== "") note(line)
      }
    }
    started.stdout.setEncoding("utf8").on("data", hear)
    started.stderr.setEncoding("utf8").on("data", hear)
    started.on("exit", (code, signal) => {
      lived.endedAt = Date.now()
      if (code === killedByOrder) witness.killedByOrders.push({ pid: lived.pid, at: lived.endedAt })
      else if (!endedOnPurpose && !ending) {
        const what = `${name} (pid ${lived.pid}) ended with ${signal ?? code}: ${last.trim().slice(-300)}`
        if (lived.servesFrom === null) witness.startsThatFailed.push(what)
        else witness.endedByThemselves.push(what)
      }
      if (!ending) setTimeout(() => !ending && start(), 1000)
    })
  }

  const gone = async (running: ChildProcess) => {
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
      const told = Date.now()
      stopping.kill("SIGTERM")
      const late = setTimeout(() => stopping.kill("SIGKILL"), withinMs + 5000)
      await gone(stopping)
      clearTimeout(late)
      const tookMs = Date.now() - told
      if (stopping.exitCode === killedByOrder) return
      if (tookMs > withinMs || stopping.exitCode !== 0)
        witness.stopsThatWereNotClean.push(
          `${name} ended with ${stopping.signalCode ?? stopping.exitCode} after ${tookMs} ms`
        )
    },
    end: async () => {
      ending = true
      if (child !== null) {
        child.kill("SIGKILL")
        await gone(child)
      }
      await proxy.close()
      fs.closeSync(log)
    }
  }
}

/** Waits until all of them serve. */
export const allServe = async (processes: ReadonlyArray<OrderProcess>, withinMs: number): Promise<void> => {
  const deadline = Date.now() + withinMs
  while (!processes.every(({ isUp }) => isUp())) {
    if (Date.now() > deadline) {
      const missing = processes.filter(({ isUp }) => !isUp()).map(({ name }) => name)
      throw new Error(`${missing.join(", ")} did not come up within ${withinMs} ms.`)
    }
    await sleep(50)
  }
}
