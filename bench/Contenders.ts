import { freePort } from "../chaos/FreePort.ts"
import { answers, type Child, run, start } from "./Children.ts"
import { productTable, peerTable, type Table } from "./Tables.ts"

/** Something that takes orders over HTTP and processes them. */
export interface Contender {
  readonly name: string
  readonly kind: "product" | "memory" | "peer" | "floor"
  /** Where its orders are, and how it tells the time of each; without one nothing but its answers can be measured. */
  readonly table: Table | null
  /** Takes no orders from a backlog and processes none. */
  readonly withoutWorker?: true
  /** Final orders that are in the table beforehand, and stay in its database from round to round. */
  readonly settledBefore?: number
  readonly prepare: (database: string, backlog: number, directory: string) => Promise<void>
  readonly start: (database: string, directory: string) => Promise<Running>
}

export interface Running {
  readonly url: string
  readonly child: Child
}

const serving = async (
  command: ReadonlyArray<string>,
  env: Record<string, string>,
  directory: string,
  port: number
): Promise<Running> => {
  const child = start({ command, env, directory })
  const url = `http://127.0.0.1:${port}`
  await answers(url, child)
  return { url, child }
}

const orderPlatform = "bin/order-platform.js"

/** The program that users start, with its defaults, but that its processor neither waits nor fails (also its defaults). */
const product = (name: string, queue: "memory" | "postgres", settledBefore?: number): Contender => ({
  name,
  kind: "product",
  table: productTable,
  ...(settledBefore !== undefined && { settledBefore }),
  prepare: async (database, _backlog, directory) => {
    await run({ command: [orderPlatform, "migrate"], env: { DATABASE_URL: database }, directory }, 60_000)
  },
  start: async (database, directory) => {
    const port = await freePort()
    const env = {
      DATABASE_URL: database,
      SERVER_PORT: String(port),
      ORDER_QUEUE: queue,
      ORDER_WORKER_PROCESSING_DELAY_MS: "0",
      ORDER_WORKER_FAILURE_PROBABILITY: "0"
    }
    return serving([orderPlatform, "serve"], env, directory, port)
  }
})

const memoryAdapters: Contender = {
  name: "same endpoint, memory adapters",
  kind: "memory",
  table: null,
  prepare: async () => {},
  start: async (_database, directory) => {
    const port = await freePort()
    // With the heap that the program gives itself.
    const env = { PORT: String(port), NODE_OPTIONS: "--max-semi-space-size=16" }
    return serving(["bench/memory-server.ts"], env, directory, port)
  }
}

const peer = (name: string, script: string, env: Record<string, string> = {}): Contender => ({
  name,
  kind: "peer",
  table: peerTable,
  prepare: async (database, backlog, directory) => {
    const command = [script, "prepare", String(backlog)]
    await run({ command, env: { ...env, DATABASE_URL: database }, directory }, 120_000)
  },
  start: async (database, directory) => {
    const port = await freePort()
    return serving([script], { ...env, DATABASE_URL: database, PORT: String(port) }, directory, port)
  }
})

/** Everyone who takes part, in the order of their turns. */
export const contenders = (millions: number): ReadonlyArray<Contender> => [
  product("order-platform", "memory"),
  product("order-platform, queue postgres", "postgres"),
  ...(millions > 0
    ? [product(`order-platform, ${millions} million final orders`, "memory", millions * 1_000_000)]
    : []),
  memoryAdapters,
  peer("pg-boss 12, poll 0.5 s", "bench/peers/pg-boss.js", { NOTIFY: "off" }),
  peer("pg-boss 12, notify", "bench/peers/pg-boss.js", { NOTIFY: "on" }),
  peer("graphile-worker 0.18", "bench/peers/graphile-worker.js"),
  { ...peer("Fastify + 1 INSERT", "bench/peers/floor.js"), kind: "floor", withoutWorker: true }
]
