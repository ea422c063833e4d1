import { DateTime, Duration, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import {
  type Claim,
  type ClaimRequest,
  type Turns,
  WorkerExpired
} from "../../../application/ports/WorkStore.ts"
import { noLimits } from "../../../domain/Groups.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { integers, texts } from "../client/Columns.ts"
import { type OrderRow, toProcessingOrder } from "../client/OrderRow.ts"
import { claimOrders as claimFunction } from "../functions/ClaimOrders.ts"

/** What the claim function returns besides the orders, in its last row. */
interface ClaimInfo {
  readonly refused?: true
  /** The ids in the sequence in which they were chosen; null if that is by priority, due time and id. */
  readonly chosen: ReadonlyArray<OrderId> | null
  readonly turns: ReadonlyArray<string | null>
  readonly incomplete: boolean
  readonly next_due_ms: number | null
  readonly next_lease_end_ms: number | null
}

type ClaimRow = OrderRow & { readonly info: ClaimInfo | null }

const priorities = Array.from({ length: 10 }, (_, priority) => priority)

const durationOf = (millis: number | null) =>
  millis === null ? null : Duration.millis(Math.max(0, Math.ceil(millis)))

/** One call of the claim function. In SQL, orders without a group have the group ''. */
export const claimStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const claim = sql.literal(`"${schema}".${claimFunction.name}`)

  return ({
    defaultLimits = noLimits,
    lease,
    max,
    maxOfType = {},
    turns = {},
    types,
    worker
  }: ClaimRequest) => {
    const quotas = Object.entries(maxOfType)
    return sql<ClaimRow>`
    SELECT * FROM ${claim}(
      ${worker}, ${Duration.toMillis(lease)}::float8 * interval '1 millisecond', ${max},
      ${types === undefined ? null : texts(types)}::text[],
      ${quotas.length === 0 ? null : texts(quotas.map(([type]) => type))}::text[],
      ${quotas.length === 0 ? null : integers(quotas.map(([, quota]) => quota))}::int[],
      ${texts(priorities.map((priority) => (priority in turns ? (turns[priority] ?? "") : null)))}::text[],
      ${defaultLimits.maxRunning}::int, ${defaultLimits.ratePerSecond}::float8
    )`
  }
}

const bestFirst = (a: Claim["orders"][number], b: Claim["orders"][number]): number =>
  b.priority - a.priority || DateTime.Order(a.dueAt, b.dueAt) || (a.id < b.id ? -1 : 1)

/** The started orders in the sequence in which they were chosen. The function returns them unsorted. */
const ordersOf = (rows: ReadonlyArray<ClaimRow>, { chosen }: ClaimInfo): Claim["orders"] => {
  const orders = rows.filter(({ info }) => info === null).map(toProcessingOrder)
  if (chosen === null) return orders.sort(bestFirst)
  const turn = new Map(chosen.map((id, index) => [id, index]))
  return orders.sort((a, b) => (turn.get(a.id) ?? 0) - (turn.get(b.id) ?? 0))
}

const turnsOf = (info: ClaimInfo, orders: Claim["orders"], before: Turns): Turns => {
  if (info.chosen === null) {
    if (orders.length === 0) return before
    return { ...before, ...Object.fromEntries(orders.map(({ priority }) => [priority, null])) }
  }
  return Object.fromEntries(
    info.turns.flatMap((group, priority) =>
      group === null ? [] : [[priority, group === "" ? null : group] as const]
    )
  )
}

/** The claim of a worker. Fails if the worker was expired. */
export const claimOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const claim = claimStatement(sql, schema)
  return (request: ClaimRequest) =>
    Effect.flatMap(claim(request), (rows) => {
      const info = rows.at(-1)?.info
      if (info === null || info === undefined) return Effect.die("the claim function returned no last row")
      if (info.refused === true) return new WorkerExpired({ worker: request.worker })
      const orders = ordersOf(rows, info)
      return Effect.succeed<Claim>({
        orders,
        turns: turnsOf(info, orders, request.turns ?? {}),
        isIncomplete: info.incomplete,
        nextDueIn: durationOf(info.next_due_ms),
        nextLeaseEndIn: durationOf(info.next_lease_end_ms)
      })
    })
}
