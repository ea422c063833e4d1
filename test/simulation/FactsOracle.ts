import { figures, type History } from "./Facts.ts"

interface Lease {
  readonly worker: string
  readonly version: number
  readonly reply: { readonly delivered: number }
  readonly claimed: number
  since: number
}

/** Checks the store's calls and replies: fencing, leases, and why attempts ended without an outcome. */
// The store keeps whole milliseconds.
const stored = Math.floor

export const judgeFacts = ({ facts, idle, staleCounted }: History, report: (what: string) => void): void => {
  const leases = new Map<string, Lease>()
  const settles = new Map<string, string>()
  const disturbedUntil = new Map<string, number>()
  const stopping = new Map<string, number>()
  for (const [index, fact] of facts.entries()) {
    switch (fact.fact) {
      case "crashed":
        disturbedUntil.set(fact.worker, Infinity)
        break
      case "disturbed": {
        // A stopping worker may run out of time for its last writes.
        const until = stopping.has(fact.worker) ? Infinity : fact.until
        disturbedUntil.set(fact.worker, Math.max(until, disturbedUntil.get(fact.worker) ?? 0))
        break
      }
      case "stopping":
        stopping.set(fact.worker, fact.at)
        break
      case "stopped": {
        const took = fact.at - (stopping.get(fact.worker) ?? 0)
        if (
          took > figures.drainMs + 5000 &&
          (disturbedUntil.get(fact.worker) ?? -1) < (stopping.get(fact.worker) ?? 0)
        )
          report(`${fact.worker} took ${took} ms to stop`)
        break
      }
      case "claimed": {
        const { at, id, reply, version, worker } = fact
        leases.set(id, { worker, version, reply, claimed: at, since: at })
        break
      }
      case "renewed": {
        const lease = leases.get(fact.id)
        if (lease?.version === fact.version) lease.since = fact.at
        break
      }
      case "expired": {
        const lease = leases.get(fact.id)
        if (lease === undefined || lease.version !== fact.version - 1)
          report(`${fact.id} expired without a lease`)
        else {
          const name = `the lease of ${fact.id} ${lease.version} held by ${lease.worker}`
          if (stored(fact.at) < stored(lease.since) + figures.leaseMs)
            report(`${name} expired before its end`)
          if ((disturbedUntil.get(lease.worker) ?? -1) < lease.since)
            report(`${name} expired without a disturbance`)
        }
        leases.delete(fact.id)
        break
      }
      case "settled": {
        const { event, id, result, version, worker } = fact
        const lease = leases.get(id)
        const fenced = lease?.version === version && lease.worker === worker
        const outcome = `${event} by ${worker}`
        const repeated = settles.get(`${id} ${version}`) === outcome
        const expected = fenced ? "settled" : repeated ? "repeated" : "stale"
        if (result !== expected)
          report(`a settle of ${id} ${version} ${outcome} was ${result}, not ${expected}`)
        if (result !== "settled") break
        const disturbed = (disturbedUntil.get(worker) ?? -1) >= (lease?.claimed ?? 0)
        if (
          event === "released" &&
          (lease?.reply.delivered ?? 0) < index &&
          !stopping.has(worker) &&
          !disturbed
        )
          report(`${id} ${version} was released by ${worker}, which was running it and was not stopping`)
        settles.set(`${id} ${version}`, outcome)
        leases.delete(id)
        break
      }
    }
  }
  for (const { freeSlots, inFlight, worker } of idle) {
    if (stopping.has(worker)) continue
    if (inFlight !== 0) report(`${worker} has ${inFlight} orders in flight and nothing to do`)
    if (freeSlots !== figures.concurrency) report(`${worker} has ${freeSlots} free slots and nothing to do`)
  }
  const stale = facts.filter((fact) => fact.fact === "settled" && fact.result === "stale").length
  if (staleCounted > stale) report(`${staleCounted} stale settles were counted, ${stale} occurred`)
}
