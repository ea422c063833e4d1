import { setTimeout as sleep } from "node:timers/promises"
import { connect, type Sql } from "../chaos/Sql.ts"
import { rssOf } from "./Children.ts"
import type { Contender, Running } from "./Contenders.ts"
import type { Databases } from "./Databases.ts"
import { bulks, load, type LoadResult, warmUp } from "./Load.ts"
import type { Plan } from "./Plan.ts"
import { now, type Table } from "./Tables.ts"
import { costs, type Costs, type Usage, usageOf } from "./Usage.ts"

/** The figures of a round; those that do not apply to a contender are missing. */
export interface Figures extends Costs {
  acceptedPerSecond: number
  acceptP50: number
  acceptP99: number
  endToEndPerSecond?: number
  drainPerSecond?: number
  pickUpP50?: number
  pickUpP99?: number
  bulkPerSecond?: number
  rssLoaded: number
}

interface Turn extends Running {
  readonly plan: Plan
  readonly directory: string
  readonly usage: () => Promise<Usage>
}

/** The highest resident memory during `work`. */
export const watchRss = async <A>(pid: number, work: Promise<A>): Promise<{ result: A; highest: number }> => {
  let highest = rssOf(pid)
  const watch = setInterval(() => (highest = Math.max(highest, rssOf(pid))), 250)
  try {
    return { result: await work, highest: Math.max(highest, rssOf(pid)) }
  } finally {
    clearInterval(watch)
  }
}

const until = async (what: string, done: () => Promise<boolean>, everyMs: number, withinMs = 300_000) => {
  const deadline = Date.now() + withinMs
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`${what} within ${withinMs} ms.`)
    await sleep(everyMs)
  }
}

/** The completed attempts in GET /metrics, for a contender without a table. */
const completedOf = async (url: string): Promise<number> => {
  const page = await (await fetch(`${url}/metrics`)).text()
  return Number(/^order_worker_attempts_total\{[^}]*completed[^}]*\} (\d+)/m.exec(page)?.[1] ?? 0)
}

const withoutRefusals = (loaded: LoadResult) => {
  if (loaded.refused > 0) throw new Error(`${loaded.refused} requests were refused.`)
  return loaded
}

interface Finish {
  readonly before: () => Promise<void>
  readonly done: (accepted: number) => Promise<void>
  readonly seconds: (accepted: number) => Promise<number | undefined>
}

/** Orders per second, and their cost, from the first accepted to the last final one, under full load. */
const acceptAndFinish = async (
  { child, directory, plan, url, usage }: Turn,
  finish: Finish
): Promise<Figures> => {
  const { highest, result } = await watchRss(
    child.pid,
    (async () => {
      await warmUp(url, plan.warmUpMs, directory)
      await finish.before()
      const from = await usage()
      const loaded = withoutRefusals(await load(url, plan.acceptMs, directory))
      await finish.done(loaded.accepted)
      const cost = costs("accept", from, await usage(), loaded.accepted)
      return { cost, loaded, seconds: await finish.seconds(loaded.accepted) }
    })()
  )
  const { cost, loaded, seconds } = result
  return {
    acceptedPerSecond: loaded.accepted / loaded.seconds,
    acceptP50: loaded.p50,
    acceptP99: loaded.p99,
    ...(seconds !== undefined && { endToEndPerSecond: loaded.accepted / seconds }),
    ...cost,
    rssLoaded: highest
  }
}

const unprocessed: Finish = {
  before: async () => {},
  done: async () => {},
  seconds: async () => undefined
}

const finishInTable = (sql: Sql, table: Table): Finish => {
  let since = ""
  let before = 0
  const done = () => until("The orders were not final", () => table.isDone(sql), 100)
  return {
    before: async () => {
      await done()
      before = await table.countFinal(sql)
      since = await now(sql)
    },
    done,
    seconds: async (accepted: number) => {
      const final = (await table.countFinal(sql)) - before
      if (final < accepted) throw new Error(`${accepted} orders were accepted and ${final} are final.`)
      return (await table.span(sql, since)).createdToFinal
    }
  }
}

const finishInMetrics = (url: string): Finish => {
  let before = 0
  let began = 0
  let ended = 0
  const settled = async () => {
    let last = -1
    await until("The orders were not final", async () => last === (last = await completedOf(url)), 300)
    return last
  }
  return {
    before: async () => {
      before = await settled()
      began = performance.now()
    },
    done: async (accepted) => {
      await until("The orders were not final", async () => (await completedOf(url)) - before >= accepted, 100)
      ended = performance.now()
    },
    seconds: async () => (ended - began) / 1000
  }
}

/** The rate and the cost of a backlog, and the waits at a low rate. */
const drainAndPickUp = async (
  { directory, plan, url, usage }: Turn,
  sql: Sql,
  table: Table,
  backlogSince: string
) => {
  const ready = await now(sql)
  const from = await usage()
  await until("The backlog was not drained", () => table.isDone(sql), 200)
  const cost = costs("drain", from, await usage(), await table.countFinal(sql, ready))
  const { startedToFinal } = await table.span(sql, backlogSince)
  const pickUpSince = await now(sql)
  await load(url, plan.pickUpMs, directory, { perSecond: 10 })
  await until("The orders were not final", () => table.isDone(sql), 100)
  const pickUp = await table.pickUp(sql, pickUpSince)
  return {
    drainPerSecond: plan.backlog / startedToFinal,
    ...cost,
    pickUpP50: pickUp.p50,
    pickUpP99: pickUp.p99
  }
}

const bulkPerSecond = async ({ directory, plan, url }: Turn) => {
  const loaded = withoutRefusals(await load(url, plan.bulkMs, directory, bulks))
  return loaded.accepted / loaded.seconds
}

/** One turn of a contender in its own database: backlog, drain, pick-up, load, bulks. */
export const round = async (
  contender: Contender,
  plan: Plan,
  databases: Databases,
  directory: string
): Promise<Figures> => {
  const { table } = contender
  const { backlogSince, url } = await databases.open(contender, contender.withoutWorker ? 0 : plan.backlog)
  const sql = connect(url)
  try {
    const running = await contender.start(url, directory)
    const turn = { ...running, plan, directory, usage: () => usageOf(running.child.pid, sql) }
    try {
      if (table === null) return await acceptAndFinish(turn, finishInMetrics(turn.url))
      if (contender.withoutWorker) return await acceptAndFinish(turn, unprocessed)
      const drained = await drainAndPickUp(turn, sql, table, backlogSince)
      const accepted = await acceptAndFinish(turn, finishInTable(sql, table))
      return {
        ...accepted,
        ...drained,
        ...(contender.takesBulks && { bulkPerSecond: await bulkPerSecond(turn) })
      }
    } finally {
      await running.child.stop()
    }
  } finally {
    await sql.close()
    await databases.close(contender)
  }
}
