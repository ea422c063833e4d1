import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

/** The root of the repository. */
export const root = fileURLToPath(new URL("..", import.meta.url))

/** Every running child process; all are killed when the benchmark ends. */
const running = new Set<ChildProcess>()

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** Kills all child processes. */
export const killAll = (): void => {
  for (const child of running) child.kill("SIGKILL")
}

interface Program {
  /** A script of this repository, run by this Node, or a program. */
  readonly command: ReadonlyArray<string>
  /** Its environment besides PATH. */
  readonly env?: Record<string, string>
  /** Its working directory. */
  readonly directory: string
}

export interface Child {
  readonly pid: number
  readonly exited: Promise<number | null>
  readonly output: () => string
  readonly stop: () => Promise<void>
}

/** Starts a program and keeps its output. */
export const start = ({ command: [file = "", ...args], directory, env = {} }: Program): Child => {
  const [program, parameters] = /\.(ts|js)$/.test(file)
    ? [process.execPath, [path.join(root, file), ...args]]
    : [file, args]
  const child = spawn(program, parameters, {
    cwd: directory,
    env: { PATH: process.env["PATH"] ?? "", NODE_ENV: "production", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // So that Ctrl-C in a terminal reaches only the benchmark, which then ends its children.
    detached: true
  })
  running.add(child)
  let output = ""
  const keep = (chunk: Buffer) => {
    if (output.length < 1_000_000) output += chunk.toString()
  }
  child.stdout.on("data", keep)
  child.stderr.on("data", keep)
  const exited = new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null))
    child.once("close", (code) => resolve(code))
  }).finally(() => running.delete(child))
  return {
    pid: child.pid ?? 0,
    exited,
    output: () => output,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, "exit")
      child.kill("SIGTERM")
      const inTime = await Promise.race([exit.then(() => true), sleep(3000, false, { ref: false })])
      if (!inTime) {
        child.kill("SIGKILL")
        await exit
      }
    }
  }
}

/** Runs a program until it exits and returns its output. */
export const run = async (program: Program, withinMs: number): Promise<string> => {
  const child = start(program)
  const code = await Promise.race([child.exited, sleep(withinMs, "late" as const, { ref: false })])
  if (code === 0) return child.output()
  await child.stop()
  throw new Error(
    `${program.command.join(" ")} ${code === "late" ? `took longer than ${withinMs} ms` : `ended with ${code}`}:\n${child.output().slice(-2000)}`
  )
}

/** Waits until a server answers 200. */
export const awaitReady = async (url: string, child: Child, withinMs = 60_000): Promise<void> => {
  const deadline = Date.now() + withinMs
  let ended = false
  void child.exited.then(() => (ended = true))
  while (Date.now() < deadline && !ended) {
    const status = await fetch(`${url}/health/ready`).then(
      (response) => response.arrayBuffer().then(() => response.status),
      () => 0
    )
    if (status === 200) return
    await sleep(20)
  }
  throw new Error(`${url} does not answer:\n${child.output().slice(-2000)}`)
}

/** Resident memory of a process in MB. */
export const rssOf = (pid: number): number => {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
