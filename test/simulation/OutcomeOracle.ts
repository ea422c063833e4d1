import { DateTime } from "effect"
import type { OrderEvent } from "../../src/domain/OrderEvent.ts"
import { type Behaviour, type Fact, figures, type History, type Plan, type Stored } from "./Facts.ts"

/** What each behaviour may come to, besides TIMEOUT if it took long enough. */
const outcomes: Readonly<Record<Behaviour["does"], string>> = {
  succeed: "completed",
  "be slow": "completed",
  "never end": "",
  throw: "retried failed DEFECT",
  "fail for good": "failed PERMANENT",
  "write and fail for good": "failed PERMANENT",
  fail: "retried failed PROCESSING_FAILED",
  "write and fail": "retried failed PROCESSING_FAILED",
  "fail for a while": "retried failed PROCESSING_FAILED",
  snooze: "snoozed",
  "write and snooze": "snoozed"
}

/** An outcome must be what a run of the same attempt by the same worker came to. */
export const judgeRun = (
  event: OrderEvent,
  took: number,
  plan: Plan,
  ran: ReadonlyArray<Extract<Fact, { fact: "ran" }>>,
  say: (what: string) => void
) => {
  const name = `${event.event} ${event.version}`
  if (plan.undecodable) {
    if (event.event !== "failed" || event.reasonCode !== "UNDECODABLE")
      say(`${name} is of an undecodable order`)
    return
  }
  const own = ran.filter(({ attempt, worker }) => worker === event.worker && attempt === event.attempt)
  const said = /run (\d+)/.exec(event.reason ?? event.detail ?? "")?.[1]
  if (event.reasonCode === "TIMEOUT") {
    if (took < figures.attemptTimeoutMs) say(`${name} is a TIMEOUT after ${took} ms`)
    return
  }
  const possible = own
    .filter(({ run }) => said === undefined || run === Number(said))
    .map(({ does }) => outcomes[does])
  if (!possible.some((words) => words.includes(event.event) && words.includes(event.reasonCode ?? "")))
    say(`${name} ${event.reasonCode} (${event.reason ?? event.detail}) is what no run came to`)
}

/** In the end every order is final, dead if it failed, and in the ledger if and only if its writes were settled. */
export const judgeEnd = (
  { deadLetters, ledger }: History,
  { events, order }: Stored,
  plan: Plan,
  say: (what: string) => void
) => {
  if (order.status !== "PROCESSED" && order.status !== "FAILED") say(`is ${order.status} in the end`)
  const entries = deadLetters.filter(({ orderId }) => orderId === order.id)
  const expected = order.status === "FAILED" && order.discardedAt === null ? 1 : 0
  if (entries.length !== expected)
    say(`is ${order.status} with ${entries.length} entries in the dead letter queue`)
  const failed = events.at(-1)
  for (const { failedAt, reason, retryCount } of entries)
    if (
      retryCount !== order.retryCount ||
      reason !== failed?.reason ||
      !DateTime.Equivalence(failedAt, failed.at)
    )
      say("has an entry that says something else")
  const lines = ledger.filter(({ id }) => id === order.id).map(({ line }) => line)
  const written = order.status === "PROCESSED" && plan.writes ? "debit,credit" : ""
  if (lines.join() !== written) say(`is ${order.status} with ${lines.join() || "nothing"} in the ledger`)
}
