import { setTimeout as sleep } from "node:timers/promises"
import type { Sql } from "../chaos/Sql.ts"
import { rssOf } from "./Children.ts"
import type { Contender, Running } from "./Contenders.ts"
import type { Databases } from "./Databases.ts"

export interface IdleFigures {
  readonly rssIdle: number
  readonly statementsPerMinute: number | null
}

/** Sessions of PostgreSQL report their statistics within a second, idle ones within ten. */
const settleMs = 11_000

const transactions = async (admin: Sql, name: string) => {
  const [row] = await admin.query<{ count: number }>(
    "SELECT (xact_commit + xact_rollback)::float8 AS count FROM pg_stat_database WHERE datname = $1",
    [name]
  )
  return row?.count ?? 0
}

/**
 * Measures all contenders at once, idle and each in its own database: memory, and transactions a minute minus those of
 * an unused database (autovacuum). A single statement counts as a transaction.
 */
export const idle = async (
  contenders: ReadonlyArray<Contender>,
  ms: number,
  admin: Sql,
  databases: Databases,
  directory: string
): Promise<ReadonlyMap<string, IdleFigures>> => {
  const started: Array<{ contender: Contender; running: Running; database: string }> = []
  const unused = new URL(await databases.create("bench_unused")).pathname.slice(1)
  try {
    await Promise.all(
      contenders.map(async (contender) => {
        const { url } = await databases.open(contender, 0)
        const running = await contender.start(url, directory)
        started.push({ contender, running, database: new URL(url).pathname.slice(1) })
      })
    )
    await sleep(settleMs)
    const count = () =>
      Promise.all(
        [unused, ...started.map(({ database }) => database)].map((name) => transactions(admin, name))
      )
    const [unusedBefore = 0, ...before] = await count()
    await sleep(ms)
    const [unusedAfter = 0, ...after] = await count()
    const ofUnused = unusedAfter - unusedBefore
    return new Map(
      started.map(({ contender, running }, index) => {
        const own = (after[index] ?? 0) - (before[index] ?? 0) - ofUnused
        const statementsPerMinute = contender.table === null ? null : (Math.max(0, own) * 60_000) / ms
        return [contender.name, { rssIdle: rssOf(running.child.pid), statementsPerMinute }]
      })
    )
  } finally {
    await Promise.all(started.map(({ running }) => running.child.stop()))
    for (const { contender } of started) await databases.close(contender)
    await databases.drop("bench_unused")
  }
}
