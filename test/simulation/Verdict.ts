import { Effect } from "effect"
import type { OrderId } from "../../src/domain/OrderId.ts"
import type { History, Stored } from "./Facts.ts"
import { judge } from "./Oracle.ts"
import { countedStale, type SimulatedWorld } from "./SimulatedWorld.ts"

/** The smallest number of port calls in a history; a typical one has several times as many. */
export const leastSteps = 50

/** The result of one history. */
export interface Verdict {
  readonly seed: number
  /** The violations found by the oracle, as sentences; none if all promises were kept. */
  readonly violations: ReadonlyArray<string>
  /** A hash of the trace, if one was requested: equal for equal seeds. */
  readonly hash: number
  readonly steps: number
  readonly orders: number
  /** The number of occurrences of each fault, event, result and behaviour. */
  readonly counts: ReadonlyMap<string, number>
  /** Everything that happened, as sentences, if a trace was requested. */
  readonly trace: ReadonlyArray<string>
}

/** Reads the store at the end and runs the oracle. */
export const conclude = (world: SimulatedWorld, seed: number): Verdict => {
  const { stores } = world
  const stored = new Map<OrderId, Stored>()
  for (const id of world.plans.keys()) {
    const found = world.statementExit(
      Effect.all({ order: stores.reads.find(id), events: stores.reads.timeline(id) })
    )
    if (found._tag === "Success") stored.set(id, found.value)
  }
  // Looked up one by one, so that a dead letter of an order that is not FAILED is found too.
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
