#!/usr/bin/env node
import { spawn } from "node:child_process"
import { accessSync, constants, existsSync } from "node:fs"
import { basename, isAbsolute } from "node:path"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { cloneNode, isNodeNewEnough, sentence } from "./node-version.js"

const built = new URL("../dist/src/main.js", import.meta.url)
const source = new URL("../src/main.ts", import.meta.url)

// Says to the process at the other end of the channel that it is ours.
const launched = "ORDER_PLATFORM_LAUNCHED"

// A young generation of 3 times 16 MiB, where Node would take more: under load a process takes some 200 MB instead of 300.
// Node takes this only as an option; where the operator sets it, on the command line or in NODE_OPTIONS, it is left as it is.
const young = "--max-semi-space-size=16"
const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].join(" ").replaceAll("_", "-")
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

// A failed exec is the end of the process, so only where it is plain what is executed.
const isPlainNode = () => {
  try {
    accessSync(process.execPath, constants.X_OK)
    return isAbsolute(process.execPath) && basename(process.execPath).startsWith("node")
  } catch {
    return false
  }
}

// In the place of this process, with the same id. Not under a debugger, nor with modules that were loaded before and would
// be once more, nor where it has a channel to its parent, which would be lost.
const restartWithOptions = () => {
  const hasCompany = /--inspect|--import|--require|(?:^|\s)-r\s|--loader|--experimental-loader/.test(options)
  if (execArgv === process.execArgv || hasCompany || process.platform === "win32" || process.channel) return
  if (!isPlainNode()) return
  try {
    process.execve?.(process.execPath, [process.execPath, ...command], process.env)
  } catch {
    // Not allowed to: it goes on with what Node gives it.
  }
}

if (isNodeNewEnough) {
  restartWithOptions()
  // The old generation grows by at most 60 % between two collections, and not to several times what lives. This can be set
  // while Node runs.
  if (!options.includes("-heap-growing-percent")) setFlagsFromString("--heap-growing-percent=60")
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
