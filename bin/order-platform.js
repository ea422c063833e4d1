#!/usr/bin/env node
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { cloneNode, isNodeNewEnough, sentence } from "./node-version.js"

const built = new URL("../dist/src/main.js", import.meta.url)
const source = new URL("../src/main.ts", import.meta.url)

// Says to the process at the other end of the channel that it is ours.
const launched = "ORDER_PLATFORM_LAUNCHED"

// A young generation of 3 times 16 MiB instead of 3 times 32: under load a process takes some 200 MB instead of 300, and
// is no slower. Node takes this only as an option. Who sets one has it.
const young = "--max-semi-space-size=16"
const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].join(" ")
const execArgv = options.includes("-semi-space-size") ? process.execArgv : [...process.execArgv, young]
const command = [...execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)]

const runWith = (node) => {
  const child = spawn(node, command, {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [launched]: "1" }
  })
  // A terminal signals the whole process group, so the child may get SIGINT twice: the second changes nothing.
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"]
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on("error", () => {
    console.error(sentence)
    process.exitCode = 1
  })
  child.on("exit", (code, signal) => {
    for (const name of signals) process.removeAllListeners(name)
    if (signal) process.kill(process.pid, signal)
    else process.exitCode = code
  })
}

// Whoever kills the process that was started means the one that works; without this it would live on, leases and all.
const endWithLauncher = () => {
  delete process.env[launched]
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))
  process.channel?.unref()
}

// In the place of this process, with the same id; where that cannot be done, it goes on with what Node gives it.
const restartWithOptions = () => {
  const isDebugged = options.includes("--inspect")
  if (execArgv === process.execArgv || isDebugged || process.platform === "win32" || process.channel) return
  try {
    process.execve?.(process.execPath, [process.execPath, ...command], process.env)
  } catch {
    return
  }
}

if (isNodeNewEnough) {
  restartWithOptions()
  // The old generation grows by at most 60 % between two collections, and not by several times: memory that is needed no
  // longer than a collection takes is not asked for. This one can be set while Node runs.
  setFlagsFromString("--heap-growing-percent=60")
  if (process.env[launched] !== undefined) endWithLauncher()
  // A clone runs its sources, also where it was built once; a package has only what was built.
  await import(existsSync(source) ? source.href : built.href)
} else {
  const node = cloneNode()
  if (node !== undefined) runWith(node)
  else {
    console.error(sentence)
    process.exitCode = 1
  }
}
