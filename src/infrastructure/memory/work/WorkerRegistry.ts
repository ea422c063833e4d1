import { DateTime, Duration } from "effect"
import type { OpenBreaker, RegisteredWorker, WorkerReport } from "../../../domain/Workers.ts"

interface Registered {
  readonly worker: RegisteredWorker
  readonly leaseUntil: DateTime.Utc
  /** Whether an order of it was expired, so that it is refused from then on. */
  readonly isExpired: boolean
}

/** What is known of a worker that has not reported itself. */
const noReport: WorkerReport = {
  host: "",
  version: "",
  role: "worker",
  types: null,
  capacity: 0,
  inFlight: 0,
  draining: false,
  breakers: []
}

const hasEnded = ({ leaseUntil }: Registered, at: DateTime.Utc) =>
  DateTime.isLessThanOrEqualTo(leaseUntil, at)

/** The workers that claim or renew, each with its lease. */
export const makeWorkerRegistry = () => {
  const workers = new Map<string, Registered>()

  /** The workers whose lease has not ended. */
  const alive = (at: DateTime.Utc): ReadonlyArray<RegisteredWorker> =>
    Array.from(workers.values())
      .filter((each) => !hasEnded(each, at))
      .map(({ worker }) => worker)

  const takersOf = (type: string, at: DateTime.Utc) =>
    alive(at).filter(({ types }) => types === null || types.includes(type))

  /** Registers the worker, or extends its lease; returns false if it was expired. */
  const extend = (id: string, lease: Duration.Duration, at: DateTime.Utc, report?: WorkerReport): boolean => {
    const before = workers.get(id)
    if (before?.isExpired === true) return false
    const worker = { startedAt: at, ...noReport, ...before?.worker, ...report, id, seenAt: at }
    workers.set(id, { worker, leaseUntil: DateTime.addDuration(at, lease), isExpired: false })
    return true
  }

  return {
    alive,
    /** The worker in the registry, also if its lease has ended. */
    find: (id: string): RegisteredWorker | undefined => workers.get(id)?.worker,
    /** Whether a worker whose lease has not ended takes orders of this type. */
    takes: (type: string, at: DateTime.Utc): boolean => takersOf(type, at).length > 0,
    /** The breakers of this type that are open, if every such worker has one; else none. */
    breakers: (type: string, at: DateTime.Utc): ReadonlyArray<OpenBreaker> => {
      const found = takersOf(type, at).map(({ breakers }) => breakers.find((each) => each.type === type))
      const open = found.filter((breaker) => breaker !== undefined)
      return open.length === found.length ? open : []
    },
    extend,
    /**
     * For a claim: registers the worker, or extends its lease if less than half of `lease` is left; returns false if it
     * was expired.
     */
    hold: (id: string, lease: Duration.Duration, at: DateTime.Utc): boolean => {
      const before = workers.get(id)
      const halfway = DateTime.addDuration(at, Duration.times(lease, 0.5))
      if (before === undefined || DateTime.isLessThan(before.leaseUntil, halfway))
        return extend(id, lease, at)
      return !before.isExpired
    },
    /** The workers whose lease has ended, by the time at which it ended, then id. */
    ended: (at: DateTime.Utc): ReadonlyArray<string> =>
      Array.from(workers.values())
        .filter((each) => hasEnded(each, at))
        .sort((a, b) => DateTime.Order(a.leaseUntil, b.leaseUntil) || (a.worker.id < b.worker.id ? -1 : 1))
        .map(({ worker }) => worker.id),
    refuse: (id: string) => {
      const before = workers.get(id)
      if (before !== undefined) workers.set(id, { ...before, isExpired: true })
    },
    remove: (id: string) => workers.delete(id),
    leaseEnds: (): ReadonlyArray<DateTime.Utc> => Array.from(workers.values(), ({ leaseUntil }) => leaseUntil)
  }
}
