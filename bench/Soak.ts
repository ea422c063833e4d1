import { connect } from "../chaos/Sql.ts"
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
    const [row] = await sql.query<{ backlog: number }>(
      "SELECT count(*)::int AS backlog FROM (SELECT FROM orders WHERE status = 'PENDING' LIMIT 1000000) AS pending"
    )
    eachSecond.push({ rss: rssOf(child.pid), backlog: row?.backlog ?? 0 })
  }
  try {
    await warmUp(url, warmUpMs, directory)
    let failure: unknown
    const watch = setInterval(() => void sample().catch((error: unknown) => (failure = error)), 1000)
    const result = await load(url, ms, directory).finally(() => clearInterval(watch))
    if (failure !== undefined) throw failure
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
      backlogHighest: Math.max(...eachSecond.map(({ backlog }) => backlog))
    }
  } finally {
    await child.stop()
    await sql.close()
    await databases.close(contender)
  }
}
