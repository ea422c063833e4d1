import { setTimeout as sleep } from "node:timers/promises"
import { connect, type Sql } from "../chaos/Sql.ts"
import { rssOf } from "./Children.ts"
import type { Contender, Running } from "./Contenders.ts"
import type { Databases } from "./Databases.ts"
import { load, warmUp } from "./Load.ts"
import type { Plan } from "./Plan.ts"
import { now, type Table } from "./Tables.ts"

/** The figures of a round; those that do not apply to a contender are missing. */
export interface Figures {
  acceptedPerSecond: number
  acceptP50: number
  acceptP99: number
  endToEndPerSecond?: number
  drainPerSecond?: number
  pickUpP50?: number
  pickUpP99?: number
  rssLoaded: number
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

/** Orders per second from the first accepted to the last final one, under full load. */
const acceptAndFinish = async (
  { child, url }: Running,
  plan: Plan,
  directory: string,
  finish: {
    readonly before: () => Promise<void>
    readonly seconds: (accepted: number) => Promise<number | undefined>
  }
): Promise<Figures> => {
  const { highest, result } = await watchRss(
    child.pid,
    (async () => {
      await warmUp(url, plan.warmUpMs, directory)
      await finish.before()
      const loaded = await load(url, plan.acceptMs, directory)
      return { loaded, seconds: await finish.seconds(loaded.accepted) }
    })()
  )
  const { seconds, loaded } = result
  if (loaded.refused > 0) throw new Error(`${loaded.refused} requests were refused.`)
  return {
    acceptedPerSecond: loaded.accepted / loaded.seconds,
    acceptP50: loaded.p50,
    acceptP99: loaded.p99,
    ...(seconds !== undefined && { endToEndPerSecond: loaded.accepted / seconds }),
    rssLoaded: highest
  }
}

const finishInTable = (sql: Sql, table: Table) => {
  let since = ""
  let before = 0
  const done = () => until("The orders were not final", () => table.isDone(sql), 100)
  return {
    before: async () => {
      await done()
      before = await table.countFinal(sql)
      since = await now(sql)
    },
    seconds: async (accepted: number) => {
      await done()
      const final = (await table.countFinal(sql)) - before
      if (final < accepted) throw new Error(`${accepted} orders were accepted and ${final} are final.`)
      return (await table.span(sql, since)).createdToFinal
    }
  }
}

const finishInMetrics = (url: string) => {
  let before = 0
  let began = 0
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
    seconds: async (accepted: number) => {
      await until("The orders were not final", async () => (await completedOf(url)) - before >= accepted, 100)
      return (performance.now() - began) / 1000
    }
  }
}

/** One turn of a contender in its own database: backlog, drain, pick-up, load. */
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
    try {
      if (table === null) return await acceptAndFinish(running, plan, directory, finishInMetrics(running.url))
      if (contender.withoutWorker)
        return await acceptAndFinish(running, plan, directory, {
          before: async () => {},
          seconds: async () => undefined
        })
      await until("The backlog was not drained", () => table.isDone(sql), 200)
      const { startedToFinal } = await table.span(sql, backlogSince)
      const pickUpSince = await now(sql)
      await load(running.url, plan.pickUpMs, directory, { perSecond: 10 })
      await until("The orders were not final", () => table.isDone(sql), 100)
      const pickUp = await table.pickUp(sql, pickUpSince)
      const figures = await acceptAndFinish(running, plan, directory, finishInTable(sql, table))
      return {
        ...figures,
        drainPerSecond: plan.backlog / startedToFinal,
        pickUpP50: pickUp.p50,
        pickUpP99: pickUp.p99
      }
    } finally {
      await running.child.stop()
    }
  } finally {
    await sql.close()
    await databases.close(contender)
  }
}
