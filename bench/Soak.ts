import { setTimeout as sleep } from "node:timers/promises"
import { connect, type Sql } from "../chaos/Sql.ts"
import { rssOf } from "./Children.ts"
import type { Contender } from "./Contenders.ts"
import type { Databases } from "./Databases.ts"
import { load, type LoadResult, warmUp } from "./Load.ts"
import { median } from "./Statistics.ts"

interface Second {
  readonly rss: number
  readonly backlog: number
}

export interface SoakFigures {
  readonly load: LoadResult
  readonly eachSecond: ReadonlyArray<Second>
  readonly medianP99: number
  readonly worstP99: number
  /** Means of the first and the last third: for a minute, its first and last 20 seconds. */
  readonly rssFirst: number
  readonly rssLast: number
  readonly backlogFirst: number
  readonly backlogLast: number
  readonly backlogHighest: number
  /** The share of the UPDATEs of `orders` that changed no index (heap-only tuples). */
  readonly hotShare: number
}

/** Sessions report their statistics after a second, idle ones after ten. */
const reportedMs = 11_000

/** The UPDATEs of `orders` since the database was created, and those that changed no index. */
const updates = async (sql: Sql) => {
  await sql.query("SELECT pg_stat_clear_snapshot()")
  const [row] = await sql.query<{ all: number; hot: number }>(
    `SELECT n_tup_upd::float8 AS all, n_tup_hot_upd::float8 AS hot FROM pg_stat_user_tables WHERE relname = 'orders'`
  )
  return row ?? { all: 0, hot: 0 }
}

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

/** Full load on a warmed-up process, sampled each second. */
export const soak = async (
  contender: Contender,
  ms: number,
  warmUpMs: number,
  databases: Databases,
  directory: string
): Promise<SoakFigures> => {
  const { url: database } = await databases.open(contender, 0)
  const sql = connect(database)
  const { child, url } = await contender.start(database, directory)
  const eachSecond: Array<Second> = []
  const sample = async () => {
    const [row] = await sql.query<{ backlog: number }>("SELECT count(*)::int AS backlog FROM order_due")
    eachSecond.push({ rss: rssOf(child.pid), backlog: row?.backlog ?? 0 })
  }
  try {
    await warmUp(url, warmUpMs, directory)
    const before = await updates(sql)
    let failure: unknown
    const watch = setInterval(() => void sample().catch((error: unknown) => (failure = error)), 1000)
    const result = await load(url, ms, directory).finally(() => clearInterval(watch))
    if (failure !== undefined) throw failure
    await sleep(reportedMs)
    const after = await updates(sql)
    // Without the last entry: the requests in flight at the end.
    const p99s = result.eachSecond.slice(0, Math.floor(ms / 1000)).map(({ p99 }) => p99)
    const third = Math.max(1, Math.floor(eachSecond.length / 3))
    const [first, last] = [eachSecond.slice(0, third), eachSecond.slice(-third)]
    return {
      load: result,
      eachSecond,
      medianP99: median(p99s),
      worstP99: Math.max(...p99s),
      rssFirst: mean(first.map(({ rss }) => rss)),
      rssLast: mean(last.map(({ rss }) => rss)),
      backlogFirst: mean(first.map(({ backlog }) => backlog)),
      backlogLast: mean(last.map(({ backlog }) => backlog)),
      backlogHighest: Math.max(...eachSecond.map(({ backlog }) => backlog)),
      hotShare: (after.hot - before.hot) / (after.all - before.all)
    }
  } finally {
    await child.stop()
    await sql.close()
    await databases.close(contender)
  }
}
