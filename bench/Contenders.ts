import { freePort } from "../chaos/FreePort.ts"
import { awaitReady, type Child, run, start } from "./Children.ts"
import { productTable, peerTable, type Table } from "./Tables.ts"

/** A server that accepts orders over HTTP and processes them. */
export interface Contender {
  readonly name: string
  readonly kind: "product" | "memory" | "peer" | "floor"
  /** Its table of orders with their times; without one only its answers can be measured. */
  readonly table: Table | null
  /** It processes no orders. */
  readonly withoutWorker?: true
  /** It has POST /orders/bulk, and its database is not kept. */
  readonly takesBulks?: boolean
  /** The number of final orders in its table before the first round; its database is kept between rounds. */
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
  await awaitReady(url, child)
  return { url, child }
}

const orderPlatform = "bin/order-platform.js"

/** The program with its defaults and a processor that neither waits nor fails. */
const product = (name: string, queue: "memory" | "postgres", settledBefore?: number): Contender => ({
  name,
  kind: "product",
  table: productTable,
  takesBulks: settledBefore === undefined,
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
    // With the heap options of the program.
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

/** All contenders in the order of their turns. */
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
