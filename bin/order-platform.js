#!/usr/bin/env node
import { spawn } from "node:child_process"
import { accessSync, constants, existsSync } from "node:fs"
import { basename, isAbsolute } from "node:path"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { cloneNode, isNodeNewEnough, sentence } from "./node-version.js"

// A failed write to stderr must not end the process.
process.stderr.on("error", () => {})

const built = new URL("../dist/src/main.js", import.meta.url)
const source = new URL("../src/main.ts", import.meta.url)

// The environment variable that marks a child process of this launcher.
const launched = "ORDER_PLATFORM_LAUNCHED"

// Sets V8's young generation to 3 times 16 MiB: under load a process uses about 200 MB, instead of 300 MB
// with Node's default. Node accepts this only as an option at start. A value set by the operator, on the
// command line or in NODE_OPTIONS, wins.
const young = "--max-semi-space-size=16"
const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].join(" ").replaceAll("_", "-")
const execArgv = options.includes("-semi-space-size") ? process.execArgv : [...process.execArgv, young]
const command = [...execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)]

const runWith = (node) => {
  const child = spawn(node, command, {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [launched]: "1" }
  })
  // A terminal signals the whole process group, so the child may receive SIGINT twice. The second one has no effect.
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

// Ends this process when the launcher is killed. Otherwise this process would keep running and hold its
// leases.
const endWithLauncher = () => {
  delete process.env[launched]
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))
  process.channel?.unref()
}

// Whether the executable is certainly Node. Checked before the exec, because an exec that fails ends the
// process.
const isPlainNode = () => {
  try {
    accessSync(process.execPath, constants.X_OK)
    return isAbsolute(process.execPath) && basename(process.execPath).startsWith("node")
  } catch {
    return false
  }
}

// Replaces this process by Node with the option above, under the same process id. Does nothing under a
// debugger, with preloaded modules (they would load twice), or with an IPC channel to the parent process (the
// channel would be lost).
const restartWithOptions = () => {
  const isInstrumented = /--inspect|--import|--require|(?:^|\s)-r\s|--loader|--experimental-loader/.test(
    options
  )
  if (execArgv === process.execArgv || isInstrumented || process.platform === "win32" || process.channel)
    return
  if (!isPlainNode()) return
  try {
    process.execve?.(process.execPath, [process.execPath, ...command], process.env)
  } catch {
    // Not permitted: continue with Node's defaults.
  }
}

if (isNodeNewEnough) {
  restartWithOptions()
  // Lets V8's old generation grow by at most 60 % between two garbage collections. By default it may grow to
  // several times the size of the live objects. This can be set at run time.
  if (!options.includes("-heap-growing-percent")) setFlagsFromString("--heap-growing-percent=60")
  if (process.env[launched] !== undefined) endWithLauncher()
  // A clone runs its sources even if it was built. A package contains only the build.
  await import(existsSync(source) ? source.href : built.href)
} else {
  const node = cloneNode()
  if (node !== undefined) runWith(node)
  else {
    console.error(sentence)
    process.exitCode = 1
  }
}
