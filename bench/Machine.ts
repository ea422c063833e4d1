import { execFileSync } from "node:child_process"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { root } from "./Children.ts"

/** The machine and versions of a measurement. */
export type Machine = Readonly<Record<string, string>>

const versionOf = async (directory: string): Promise<string> => {
  const text = await fs.readFile(path.join(root, directory, "package.json"), "utf8")
  return (JSON.parse(text) as { version: string }).version
}

const commit = () => {
  try {
    const git = (...args: ReadonlyArray<string>) =>
      execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim()
    return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "--", "src", "migrations") === "" ? "" : " with changes"}`
  } catch {
    return "unknown"
  }
}

export const machine = async (postgres: string, loadBefore: number): Promise<Machine> => {
  const cpus = os.cpus()
  const peers = ["pg-boss", "graphile-worker", "fastify", "pg"]
  const versions = await Promise.all(
    peers.map(async (name) => `${name} ${await versionOf(`bench/node_modules/${name}`)}`)
  )
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    processor: `${cpus.length} × ${cpus[0]?.model ?? "unknown"}`,
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GB`,
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    "load average before": `${loadBefore.toFixed(2)}${loadBefore > 0.5 ? " (the machine was busy with other things: the figures are unreliable)" : ""}`,
    node: process.versions.node,
    effect: await versionOf("node_modules/effect"),
    PostgreSQL: `${postgres}, default durability, on the same machine`,
    peers: versions.join(", ")
  }
}
