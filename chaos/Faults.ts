import { setTimeout as sleep } from "node:timers/promises"
import type { OrderProcess } from "./OrderProcesses.ts"
import type { PostgresServer } from "./PostgresServer.ts"
import { randomOf } from "./Random.ts"
import type { Sql } from "./Sql.ts"

/** An injected fault: its kind, its process (by pid; null for all), its start and end. */
export interface Fault {
  readonly kind: string
  readonly pid: number | null
  readonly from: number
  to: number
}

/** A planned fault, decided by the seed before the run begins. */
interface Planned {
  readonly atMs: number
  readonly kind: Kind
  /** The index of the process among those of its kind. */
  readonly which: number
  /** From 0 to 1: the duration within the range of the kind. */
  readonly size: number
}

const kinds = [
  "kill -9 of a worker",
  "kill -9 of an API",
  "PostgreSQL crashed and restarted",
  "listener terminated",
  "worker frozen past its lease",
  "network delayed",
  "connections silent",
  "all connections reset",
  "replies lost, one process",
  "replies lost, all processes",
  "clean stop of a worker",
  "connections refused"
] as const
type Kind = (typeof kinds)[number]

/** A fault every four to eight seconds; each kind occurs once before any is repeated. */
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

export interface Targets {
  readonly processes: ReadonlyArray<OrderProcess>
  readonly postgres: PostgresServer
  readonly sql: Sql
  readonly cleanStopWithinMs: number
}

/** Injects the planned faults at their times, concurrently, and returns when the last one is over. */
export const injectFaults = async (
  plan: ReadonlyArray<Planned>,
  { cleanStopWithinMs, postgres, processes, sql }: Targets,
  injected: Array<Fault>,
  stopped: () => boolean
): Promise<void> => {
  const began = Date.now()
  const busy = new Set<OrderProcess>()
  const between = (min: number, max: number, size: number) => min + size * (max - min)

  // A process that is up and has no fault yet, starting with the one that the seed names.
  const pick = (from: ReadonlyArray<OrderProcess>, which: number) =>
    from
      .map((_, n) => from[(which + n) % from.length])
      .find((p) => p !== undefined && p.isUp() && !busy.has(p))

  const during = async (kind: string, pid: number | null, action: () => Promise<void>) => {
    const fault: Fault = { kind, pid, from: Date.now(), to: Date.now() }
    injected.push(fault)
    try {
      await action()
    } finally {
      fault.to = Date.now()
    }
  }

  const inOne = async (
    kind: Kind,
    from: ReadonlyArray<OrderProcess>,
    which: number,
    action: (process: OrderProcess) => Promise<void>
  ) => {
    const process = pick(from, which)
    if (process === undefined) return
    busy.add(process)
    await during(kind, process.pid(), () => action(process)).finally(() => busy.delete(process))
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
      case "network delayed":
        return inOne(kind, processes, which, async ({ proxy }) => {
          proxy.hold()
          await sleep(between(3000, 8000, size))
          proxy.heal()
        })
      case "connections silent":
        return inOne(kind, processes, which, async ({ proxy }) => {
          proxy.discard()
          await sleep(between(3000, 8000, size))
          proxy.heal()
        })
      case "all connections reset":
        return during(kind, null, async () => processes.forEach(({ proxy }) => proxy.reset()))
      case "replies lost, one process":
        return inOne(kind, processes, which, ({ proxy }) => loseReplies([proxy]))
      case "replies lost, all processes":
        return during(kind, null, () =>
          loseReplies(processes.filter((process) => !busy.has(process)).map(({ proxy }) => proxy))
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

  const loseReplies = async (proxies: ReadonlyArray<OrderProcess["proxy"]>) => {
    for (const proxy of proxies) proxy.dropReplies()
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
    // A fault that could not be injected, because the database was unavailable for its SQL, is ignored.
    all.push(inject(planned).catch(() => undefined))
  }
  await Promise.all(all)
}
