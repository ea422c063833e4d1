import { DateTime } from "effect"
import type { OrderEvent } from "../../src/domain/OrderEvent.ts"
import {
  type Behaviour,
  type Fact,
  figures,
  type History,
  type Plan,
  processOf,
  type Stored
} from "./Facts.ts"

/** The possible outcomes of each behaviour, besides TIMEOUT if it took long enough. */
const outcomes: Readonly<Record<Behaviour["does"], string>> = {
  succeed: "completed",
  "be slow": "completed",
  hang: "",
  throw: "retried failed DEFECT",
  "fail permanently": "failed PERMANENT",
  "write and fail permanently": "failed PERMANENT",
  fail: "retried failed PROCESSING_FAILED",
  "write and fail": "retried failed PROCESSING_FAILED",
  "fail with delay": "retried failed PROCESSING_FAILED",
  snooze: "snoozed",
  "write and snooze": "snoozed"
}

/** An outcome must match a run of the same attempt by the same worker. */
export const judgeRun = (
  event: OrderEvent,
  took: number,
  plan: Plan,
  ran: ReadonlyArray<Extract<Fact, { fact: "ran" }>>,
  report: (what: string) => void
) => {
  const name = `${event.event} ${event.version}`
  if (plan.undecodable) {
    if (event.event !== "failed" || event.reasonCode !== "UNDECODABLE")
      report(`${name} is of an undecodable order`)
    return
  }
  const own = ran.filter(
    ({ attempt, worker }) => worker === processOf(event.worker ?? "") && attempt === event.attempt
  )
  const namedRun = /run (\d+)/.exec(event.reason ?? event.detail ?? "")?.[1]
  if (event.reasonCode === "TIMEOUT") {
    if (took < figures.attemptTimeoutMs) report(`${name} is a TIMEOUT after ${took} ms`)
    return
  }
  const possible = own
    .filter(({ run }) => namedRun === undefined || run === Number(namedRun))
    .map(({ does }) => outcomes[does])
  if (!possible.some((words) => words.includes(event.event) && words.includes(event.reasonCode ?? "")))
    report(`${name} ${event.reasonCode} (${event.reason ?? event.detail}) matches no run`)
}

/**
 * At the end every order is final, has a dead letter if it failed, and ledger lines if and only if its writes
 * committed.
 */
export const judgeEnd = (
  { deadLetters, ledger }: History,
  { events, order }: Stored,
  plan: Plan,
  report: (what: string) => void
) => {
  if (order.status !== "PROCESSED" && order.status !== "FAILED") report(`is ${order.status} at the end`)
  const entries = deadLetters.filter(({ orderId }) => orderId === order.id)
  const expected = order.status === "FAILED" && order.discardedAt === null ? 1 : 0
  if (entries.length !== expected)
    report(`is ${order.status} with ${entries.length} entries in the dead letter queue`)
  const failed = events.at(-1)
  for (const { failedAt, reason, retryCount } of entries)
    if (
      retryCount !== order.retryCount ||
      reason !== failed?.reason ||
      !DateTime.Equivalence(failedAt, failed.at)
    )
      report("has a dead letter that differs from its last event")
  const lines = ledger.filter(({ id }) => id === order.id).map(({ line }) => line)
  const written = order.status === "PROCESSED" && plan.writes ? "debit,credit" : ""
  if (lines.join() !== written) report(`is ${order.status} with ${lines.join() || "nothing"} in the ledger`)
}
