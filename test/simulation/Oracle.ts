import { DateTime } from "effect"
import type { OrderEvent } from "../../src/domain/OrderEvent.ts"
import type { OrderId } from "../../src/domain/OrderId.ts"
import { type Fact, figures, type History, type Plan, type Stored } from "./Facts.ts"
import { judgeFacts } from "./FactsOracle.ts"
import { judgeLanes } from "./LanesOracle.ts"
import { judgeEnd, judgeRun } from "./OutcomeOracle.ts"

// States what must hold for every history. It shares only types with the product: the edges, the counting of attempts
// and the delays are written here a second time.

const edges: Readonly<Record<OrderEvent["event"], ReadonlyArray<string>>> = {
  created: ["null>PENDING"],
  started: ["PENDING>PROCESSING"],
  completed: ["PROCESSING>PROCESSED"],
  retried: ["PROCESSING>PENDING"],
  failed: ["PROCESSING>FAILED"],
  expired: ["PROCESSING>PENDING", "PROCESSING>FAILED"],
  released: ["PROCESSING>PENDING"],
  snoozed: ["PROCESSING>PENDING"],
  reprocessed: ["FAILED>PENDING"],
  discarded: ["FAILED>FAILED"],
  cancelled: ["PENDING>FAILED", "PROCESSING>FAILED"],
  hastened: ["PENDING>PENDING"]
}

type Of<F extends Fact["fact"]> = Extract<Fact, { fact: F }>

/** All violations in a history, as sentences. */
export const judge = (history: History): Array<string> => {
  const violations: Array<string> = []
  const by = <F extends Fact["fact"]>(kind: F) => {
    const all = new Map<OrderId, Array<Of<F>>>()
    for (const fact of history.facts) {
      if (fact.fact !== kind || !("id" in fact)) continue
      const list = all.get(fact.id)
      if (list === undefined) all.set(fact.id, [fact as Of<F>])
      else list.push(fact as Of<F>)
    }
    return (id: OrderId): ReadonlyArray<Of<F>> => all.get(id) ?? []
  }
  const about = {
    ran: by("ran"),
    settled: by("settled"),
    claimed: by("claimed"),
    expired: by("expired"),
    cancelled: by("cancel stored")
  }
  for (const id of new Set(
    by("answered") && history.facts.flatMap((fact) => (fact.fact === "answered" ? [fact.id] : []))
  ))
    if (!history.stored.has(id)) violations.push(`${id} was answered but is not stored`)
  for (const fact of history.facts) {
    if (fact.fact === "announced" && !fact.isStored)
      violations.push(`${fact.process} announced more orders than it had stored`)
    if (fact.fact === "refused")
      violations.push(`${fact.id} was refused, but the store refuses only poison orders`)
  }
  const reprocessed = by("reprocess answered")
  for (const [id, stored] of history.stored) {
    const report = (what: string) => void violations.push(`${id} ${what}`)
    const plan = history.plans.get(id)
    if (plan === undefined) {
      report("was never submitted")
      continue
    }
    judgeEvents(stored, plan, about, report)
    judgeEnd(history, stored, plan, report)
    const count = stored.events.filter(({ event }) => event === "reprocessed").length
    if (reprocessed(id).length > count) report(`was reprocessed ${count} times, but more calls succeeded`)
  }
  for (const { orderId } of history.deadLetters)
    if (history.stored.get(orderId)?.order.status !== "FAILED")
      violations.push(`${orderId} has a dead letter without being FAILED`)
  judgeFacts(history, (what) => void violations.push(what))
  judgeLanes(history, (what) => void violations.push(what))
  return violations
}

interface About {
  readonly ran: (id: OrderId) => ReadonlyArray<Of<"ran">>
  readonly settled: (id: OrderId) => ReadonlyArray<Of<"settled">>
  readonly claimed: (id: OrderId) => ReadonlyArray<Of<"claimed">>
  readonly expired: (id: OrderId) => ReadonlyArray<Of<"expired">>
  readonly cancelled: (id: OrderId) => ReadonlyArray<Of<"cancel stored">>
}

/** Checks the events of one order. */
const judgeEvents = ({ events, order }: Stored, plan: Plan, about: About, report: (what: string) => void) => {
  const last = Math.max(1, plan.order.maxRetries)
  const ran = about.ran(order.id)
  const settled = about.settled(order.id).filter(({ result }) => result === "settled")
  const claimed = about.claimed(order.id)
  let status: string | null = null
  let failures = 0
  let startedAt = 0
  let before = 0
  let due: readonly [number, number] = [0, 0]
  let recorded = 0
  for (const [index, event] of events.entries()) {
    const at = DateTime.toEpochMillis(event.at)
    const name = `${event.event} ${event.version}`
    if (event.version !== index + 1) report(`${name} is event number ${index + 1}`)
    if (event.from !== status) report(`${name} comes from ${event.from}, but the order was ${status}`)
    if (!edges[event.event].includes(`${event.from}>${event.to}`))
      report(`${name} is no edge: ${event.from} to ${event.to}`)
    if (at < before) report(`${name} is older than the event before it`)
    const started = events[index - 1]
    if (event.from === "PROCESSING") {
      if (event.attempt !== failures + 1)
        report(`${name} is of attempt ${event.attempt}, not ${failures + 1}`)
      if (event.worker !== started?.worker) report(`${name} is by ${event.worker}, not by ${started?.worker}`)
    }
    const cancel = judgeCancel(event, events[index + 1], about.cancelled(order.id), report)
    const isExpired = about.expired(order.id).some(({ version }) => version === event.version)
    const isOutcome = event.from === "PROCESSING" && !isExpired
    if (isOutcome) {
      recorded++
      const own = settled.filter(({ version }) => version === event.version - 1)
      const asSettled = own[0]?.event === event.event || (cancel && own[0]?.event !== "completed")
      if (own.length !== 1 || !asSettled || own[0]?.worker !== event.worker)
        report(
          `${name} by ${event.worker} was settled ${own.map(({ event, worker }) => `${event} by ${worker}`)}`
        )
      if (event.event !== "released" && !cancel) judgeRun(event, at - startedAt, plan, ran, report)
    }
    const wait = Number(/again in (\d+)/.exec(event.reason ?? event.detail ?? "")?.[1] ?? Number.NaN)
    switch (event.event) {
      case "created": {
        const notBefore = plan.order.notBefore === null ? 0 : DateTime.toEpochMillis(plan.order.notBefore)
        due = [Math.max(at, notBefore), Math.max(at, notBefore)]
        break
      }
      case "started": {
        const dueAt = claimed.find(({ version }) => version === event.version)?.dueAt ?? Number.NaN
        if (!(dueAt >= due[0] && dueAt <= due[1])) report(`${name} was due at ${dueAt}, not in ${due}`)
        if (at < due[0]) report(`${name} at ${at} was before it was due at ${due[0]}`)
        due = [dueAt, dueAt]
        startedAt = at
        if (event.attempt !== failures + 1) report(`${name} is attempt ${event.attempt}, not ${failures + 1}`)
        break
      }
      case "retried": {
        if (++failures >= last) report(`${name} was the last attempt`)
        const plain = Math.min(figures.retryDelayMs * 2 ** (failures - 1), figures.retryMaxDelayMs)
        const jitter = plain * figures.retryJitter
        const most = Math.min(plain + jitter, figures.retryMaxDelayMs)
        due = Number.isNaN(wait)
          ? [at + Math.floor(plain - jitter), at + Math.ceil(most)]
          : [at + wait, at + wait]
        break
      }
      case "failed":
        if (++failures < last && !["PERMANENT", "UNDECODABLE"].includes(event.reasonCode ?? ""))
          report(`${name} was attempt ${failures} of ${last}`)
        break
      case "expired":
        if (++failures >= last !== (event.to === "FAILED"))
          report(`${name} ends ${event.to} after ${failures} of ${last}`)
        if (event.reasonCode !== "WORKER_LOST") report(`${name} because of ${event.reasonCode}`)
        due = [at, at]
        break
      case "snoozed":
        due = [at + wait, at + wait]
        break
      case "hastened":
        if (at >= due[1]) report(`${name} at ${at} was due at ${due[1]}`)
        due = [at, at]
        break
      case "cancelled":
        if (events.length > event.version) report(`${name} is not its last event`)
        if (event.reasonCode !== "CANCELLED") report(`${name} because of ${event.reasonCode}`)
        break
      case "reprocessed":
        failures = 0
        due = [at, at]
        break
    }
    status = event.to
    before = at
  }
  if (order.version !== events.length) report(`has version ${order.version} and ${events.length} events`)
  if (order.status !== status) report(`is ${order.status}, its history says ${status}`)
  if (order.retryCount !== failures)
    report(`has retryCount ${order.retryCount}, its history says ${failures}`)
  if (settled.length !== recorded) report(`was settled ${settled.length} times and has ${recorded} outcomes`)
}

/**
 * An order is cancelled if and only if a cancel was requested, unless its attempt completed. Returns whether the event
 * is a cancel.
 */
const judgeCancel = (
  event: OrderEvent,
  next: OrderEvent | undefined,
  cancels: ReadonlyArray<Of<"cancel stored">>,
  report: (what: string) => void
): boolean => {
  const name = `${event.event} ${event.version}`
  const isRequested = (of: number) =>
    cancels.some(({ status, version }) => status === "PROCESSING" && version === of)
  const isAtOnce = cancels.some(({ status, version }) => status === "FAILED" && version === event.version)
  const isCancel = event.event === "cancelled"
  const isAsked = event.from === "PENDING" ? isAtOnce : isRequested(event.version - 1)
  if (isCancel && !isAsked) report(`${name} from ${event.from} was not asked for`)
  if (isAtOnce && !isCancel) report(`${name} was to be a cancel`)
  if (event.to === "PROCESSING" && isRequested(event.version))
    if (next !== undefined && next.event !== "completed" && next.event !== "cancelled")
      report(`${name} was to be cancelled, but was ${next.event}`)
  return isCancel
}
