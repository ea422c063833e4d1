import { setTimeout as sleep } from "node:timers/promises"
import type { OrderProcess } from "./OrderProcesses.ts"
import type { PostgresServer } from "./PostgresServer.ts"
import { randomOf } from "./Random.ts"
import type { Sql } from "./Sql.ts"

/** A fault that was injected: what, in which process (by pid; null for all), from when to when. */
export interface Fault {
  readonly kind: string
  readonly pid: number | null
  readonly from: number
  to: number
}

/** A fault to come: all of it is decided by the seed, before the run begins. */
interface Planned {
  readonly atMs: number
  readonly kind: Kind
  /** Which of the processes of a kind. */
  readonly which: number
  /** Between 0 and 1: how long, within what the kind allows. */
  readonly size: number
}

const kinds = [
  "kill -9 of a worker",
  "kill -9 of an API",
  "PostgreSQL crashed and restarted",
  "listener terminated",
  "worker frozen past its lease",
  "network held, then late",
  "connections silent for ever",
  "all connections reset",
  "replies swallowed, one process",
  "replies swallowed, all processes",
  "clean stop of a worker",
  "connections refused"
] as const
type Kind = (typeof kinds)[number]

/** Every kind comes once before any comes again; a fault every four to eight seconds. */
export const planFaults = (seed: string, forMs: number): ReadonlyArray<Planned> => {
  const random = randomOf(seed, "faults")
  const plan: Array<Planned> = []
  let bag: ReadonlyArray<Kind> = []
  for (let atMs = 3000; atMs < forMs - 1000; atMs += random.between(4000, 8000)) {
    if (bag.length === 0) bag = random.shuffle(kinds)
    const [kind, ...rest] = bag
    bag = rest
    if (kind !== undefined) plan.push({ atMs, kind, which: random.between(0, 5), size: random.next() })
  }
  return plan
}

export interface Scene {
  readonly processes: ReadonlyArray<OrderProcess>
  readonly postgres: PostgresServer
  readonly sql: Sql
  readonly cleanStopWithinMs: number
}

/** Injects the planned faults at their times, each beside the others, and answers when the last one is over. */
export const injectFaults = async (
  plan: ReadonlyArray<Planned>,
  { cleanStopWithinMs, postgres, processes, sql }: Scene,
  noted: Array<Fault>,
  stopped: () => boolean
): Promise<void> => {
  const began = Date.now()
  const busy = new Set<OrderProcess>()
  const between = (least: number, most: number, size: number) => least + size * (most - least)

  // One that is up and under no fault already, beginning with the one the seed names.
  const pick = (from: ReadonlyArray<OrderProcess>, which: number) =>
    from
      .map((_, n) => from[(which + n) % from.length])
      .find((p) => p !== undefined && p.isUp() && !busy.has(p))

  const during = async (kind: string, pid: number | null, does: () => Promise<void>) => {
    const fault: Fault = { kind, pid, from: Date.now(), to: Date.now() }
    noted.push(fault)
    try {
      await does()
    } finally {
      fault.to = Date.now()
    }
  }

  const inOne = async (
    kind: Kind,
    from: ReadonlyArray<OrderProcess>,
    which: number,
    does: (process: OrderProcess) => Promise<void>
  ) => {
    const process = pick(from, which)
    if (process === undefined) return
    busy.add(process)
    await during(kind, process.pid(), () => does(process)).finally(() => busy.delete(process))
  }

  const workers = processes.filter(({ kind }) => kind === "worker")
  const apis = processes.filter(({ kind }) => kind === "api")

  const inject = ({ kind, size, which }: Planned): Promise<void> => {
    switch (kind) {
      case "kill -9 of a worker":
        return inOne(kind, workers, which, async (worker) => worker.signal("SIGKILL"))
      case "kill -9 of an API":
        return inOne(kind, apis, which, async (api) => api.signal("SIGKILL"))
      case "PostgreSQL crashed and restarted":
        return during(kind, null, () => postgres.crashAndRestart())
      case "listener terminated":
        return during(kind, null, async () => {
          await sql.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' ORDER BY random() LIMIT 1`
          )
        })
      case "worker frozen past its lease":
        return inOne(kind, workers, which, async (worker) => {
          worker.signal("SIGSTOP")
          await sleep(between(4000, 6000, size))
          worker.signal("SIGCONT")
        })
      case "network held, then late":
        return inOne(kind, processes, which, async ({ proxy }) => {
          proxy.hold()
          await sleep(between(3000, 8000, size))
          proxy.heal()
        })
      case "connections silent for ever":
        return inOne(kind, processes, which, async ({ proxy }) => {
          proxy.discard()
          await sleep(between(3000, 8000, size))
          proxy.heal()
        })
      case "all connections reset":
        return during(kind, null, async () => processes.forEach(({ proxy }) => proxy.reset()))
      case "replies swallowed, one process":
        return inOne(kind, processes, which, ({ proxy }) => swallow([proxy]))
      case "replies swallowed, all processes":
        return during(kind, null, () =>
          swallow(processes.filter((process) => !busy.has(process)).map(({ proxy }) => proxy))
        )
      case "clean stop of a worker":
        return inOne(kind, workers, which, ({ stopCleanly }) => stopCleanly(cleanStopWithinMs))
      case "connections refused":
        return inOne(kind, processes, which, async ({ proxy }) => {
          proxy.refuse()
          await sleep(between(1000, 2500, size))
          proxy.heal()
        })
    }
  }

  const swallow = async (proxies: ReadonlyArray<OrderProcess["proxy"]>) => {
    for (const proxy of proxies) proxy.swallowReplies()
    await sleep(1000)
    for (const proxy of proxies) {
      proxy.reset()
      proxy.heal()
    }
  }

  const all: Array<Promise<void>> = []
  for (const planned of plan) {
    while (!stopped() && Date.now() - began < planned.atMs) await sleep(20)
    if (stopped()) break
    // A fault that could not be injected (the database was away for its SQL) is no result.
    all.push(inject(planned).catch(() => undefined))
  }
  await Promise.all(all)
}
