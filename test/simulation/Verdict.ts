import { Effect } from "effect"
import type { OrderId } from "../../src/domain/OrderId.ts"
import type { History, Stored } from "./Facts.ts"
import { judge } from "./Oracle.ts"
import { countedStale, type SimulatedWorld } from "./SimulatedWorld.ts"

/** The smallest number of port calls in a history; a typical one has several times as many. */
export const leastSteps = 50

/** What became of one history. */
export interface Verdict {
  readonly seed: number
  /** What the oracle has found, as sentences; none if all promises were kept. */
  readonly violations: ReadonlyArray<string>
  /** Of everything that happened, in order, if a trace was asked for: the same for the same seed. */
  readonly hash: number
  readonly steps: number
  readonly orders: number
  /** How often each fault, event, result and behaviour occurred. */
  readonly counts: ReadonlyMap<string, number>
  /** Everything that happened, as sentences, if it was asked for. */
  readonly trace: ReadonlyArray<string>
}

/** Reads the store once everything is over, and asks the oracle. */
export const conclude = (world: SimulatedWorld, seed: number): Verdict => {
  const { stores } = world
  const stored = new Map<OrderId, Stored>()
  for (const id of world.plans.keys()) {
    const found = world.statementExit(
      Effect.all({ order: stores.reads.find(id), events: stores.reads.timeline(id) })
    )
    if (found._tag === "Success") stored.set(id, found.value)
  }
  // One by one: an entry of an order that is not FAILED is found, too.
  const deadLetters = Array.from(world.plans.keys()).flatMap((id) => {
    const entry = world.statementExit(stores.deadLetters.find(id))
    return entry._tag === "Success" ? [entry.value] : []
  })
  const history: History = {
    plans: world.plans,
    facts: world.facts,
    stored,
    deadLetters,
    ledger: world.ledger,
    idle: world.living("worker").map(({ freeSlots, inFlight, name }) => ({
      worker: name,
      inFlight: world.statement(inFlight),
      freeSlots
    })),
    staleCounted: countedStale() - world.countedStaleBefore
  }
  for (const { events } of stored.values()) for (const { event } of events) world.count(`event ${event}`)
  for (const { events } of stored.values())
    for (const { reasonCode } of events) if (reasonCode !== null) world.count(`code ${reasonCode}`)
  const violations = judge(history)
  if (world.steps < leastSteps) violations.push(`only ${world.steps} steps`)
  if (world.plans.size < 10) violations.push(`only ${world.plans.size} orders`)
  if (world.trace !== null) world.note(JSON.stringify(Array.from(stored.values(), ({ events }) => events)))
  return {
    seed,
    violations,
    hash: world.hash,
    steps: world.steps,
    orders: stored.size,
    counts: world.counts,
    trace: world.trace ?? []
  }
}
