import { figures, type History, processOf } from "./Facts.ts"

interface Held {
  readonly worker: string
  readonly version: number
  readonly reply: { readonly delivered: number }
  readonly claimed: number
}

// The store keeps whole milliseconds.
const stored = Math.floor

/** Checks the store's calls and replies: fencing, leases, and why attempts ended without an outcome. */
export const judgeFacts = ({ facts, idle, staleCounted }: History, report: (what: string) => void): void => {
  const held = new Map<string, Held>()
  /** When the lease of each worker was last extended. */
  const extended = new Map<string, number>()
  /** The versions of running orders whose cancel was requested. */
  const requested = new Set<string>()
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
      case "alive": {
        const age = fact.at - (extended.get(fact.worker) ?? -Infinity)
        if (fact.call === "renew" || age > figures.leaseMs / 2) extended.set(fact.worker, fact.at)
        break
      }
      case "cancel stored":
        requested.add(`${fact.id} ${fact.version}`)
        break
      case "claimed": {
        const { at, id, reply, version, worker } = fact
        held.set(id, { worker, version, reply, claimed: at })
        break
      }
      case "expired": {
        const order = held.get(fact.id)
        if (order === undefined || order.version !== fact.version - 1)
          report(`${fact.id} expired without being held`)
        else {
          const since = extended.get(order.worker) ?? 0
          const name = `${fact.id} ${order.version} held by ${order.worker}`
          if (stored(fact.at) < stored(since) + figures.leaseMs)
            report(`${name} expired before the end of the lease`)
          if ((disturbedUntil.get(processOf(order.worker)) ?? -1) < since)
            report(`${name} expired without a disturbance`)
          // The store cannot distinguish this cancel from the worker's own outcome.
          const key = `${fact.id} ${order.version}`
          if (requested.has(key)) settles.set(key, `cancelled by ${order.worker}`)
        }
        held.delete(fact.id)
        break
      }
      case "settled": {
        const { event, id, result, version, worker } = fact
        const order = held.get(id)
        const fenced = order?.version === version && order.worker === worker
        const before = settles.get(`${id} ${version}`)
        const isRequested = requested.has(`${id} ${version}`) && event !== "completed"
        // An order with a requested cancel is cancelled by every outcome but a completion.
        const outcome = `${isRequested ? "cancelled" : event} by ${worker}`
        const expected = fenced ? "settled" : before === outcome ? "repeated" : "stale"
        if (result !== expected)
          report(`a settle of ${id} ${version} ${outcome} was ${result}, not ${expected}`)
        if (result !== "settled") break
        const process = processOf(worker)
        const disturbed = (disturbedUntil.get(process) ?? -1) >= (order?.claimed ?? 0)
        if (
          event === "released" &&
          (order?.reply.delivered ?? 0) < index &&
          !stopping.has(process) &&
          !disturbed
        )
          report(`${id} ${version} was released by ${worker}, which was running it and was not stopping`)
        settles.set(`${id} ${version}`, outcome)
        held.delete(id)
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
