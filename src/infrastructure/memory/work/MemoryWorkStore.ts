import { DateTime, Duration, Effect, Layer } from "effect"
import { SqlError } from "effect/sql"
import type { Writes } from "../../../application/ports/OrderProcessor.ts"
import {
  type Settlement,
  type SettleResult,
  WorkStore,
  WritesRefused
} from "../../../application/ports/WorkStore.ts"
import { isDue, type PendingOrder } from "../../../domain/Order.ts"
import { expire, settle, start } from "../../../domain/OrderTransitions.ts"
import { atNow, bestFirst, copyOf, earliest, MemoryOrders } from "../MemoryOrders.ts"

const untilFirst = (times: ReadonlyArray<DateTime.Utc>, at: DateTime.Utc): Duration.Duration | null => {
  const first = earliest(times)
  return first === null ? null : Duration.max(Duration.zero, DateTime.distance(at, first))
}

const claimOrders = (
  { inStatus, store }: MemoryOrders["Service"],
  { lease, max, worker }: Parameters<WorkStore["Service"]["claim"]>[0],
  at: DateTime.Utc
) => {
  const leaseEnds = inStatus("PROCESSING").map(({ leaseUntil }) => leaseUntil)
  const due: Array<PendingOrder> = []
  const scheduled: Array<DateTime.Utc> = []
  for (const order of inStatus("PENDING")) {
    if (isDue(order, at)) due.push(order)
    else scheduled.push(order.dueAt)
  }
  due.sort(bestFirst)
  return {
    orders: due.slice(0, max).map((order) => copyOf(store(start(order, worker, lease, at)))),
    nextDueIn: untilFirst(scheduled, at),
    nextLeaseEndIn: untilFirst(leaseEnds, at)
  }
}

const settleOrder = (
  { orders, store }: MemoryOrders["Service"],
  { order: { id, version, worker }, outcome }: Settlement,
  at: DateTime.Utc
): SettleResult => {
  const stored = orders.get(id)
  if (stored?.order.status === "PROCESSING" && stored.order.version === version) {
    store(settle(stored.order, outcome, at))
    return "settled"
  }
  const next = stored?.events.find((event) => event.version === version + 1)
  return next !== undefined && next.event === outcome.event && next.worker === worker ? "repeated" : "stale"
}

// The app's writes cannot be rolled back in memory. So the order is locked while the writes run, and the
// outcome is stored only after they have succeeded.
const settleWithWrites = (
  memory: MemoryOrders["Service"],
  settlement: Settlement,
  writes: Writes["writes"]
) =>
  Effect.uninterruptibleMask(
    Effect.fnUntraced(function* (restore) {
      const { locked, orders } = memory
      const { id, version } = settlement.order
      const { order } = orders.get(id) ?? {}
      if (order?.status === "PROCESSING" && order.version === version && !locked.has(id)) {
        locked.add(id)
        yield* restore(writes).pipe(
          Effect.catchIf(SqlError.isSqlError, (error) =>
            Effect.fail(new WritesRefused({ reason: error.message }))
          ),
          Effect.ensuring(Effect.sync(() => locked.delete(id)))
        )
      }
      return yield* atNow((at) => settleOrder(memory, settlement, at))
    })
  )

export const layer = Layer.effect(
  WorkStore,
  Effect.gen(function* () {
    const memory = yield* MemoryOrders
    const { inStatus, locked, renew, store } = memory

    return WorkStore.of({
      claim: (request) => atNow((at) => claimOrders(memory, request, at)),
      settle: (settlements) =>
        atNow((at) => settlements.map((settlement) => settleOrder(memory, settlement, at))),
      settleWithWrites: (settlement, writes) => settleWithWrites(memory, settlement, writes),
      renew: (worker, lease) =>
        atNow((at) =>
          inStatus("PROCESSING")
            .filter((order) => order.worker === worker)
            .map((order) => {
              const renewed = { ...order, leaseUntil: DateTime.addDuration(at, lease) }
              renew(renewed)
              return renewed
            })
        ),
      expire: (max) =>
        atNow((at) =>
          inStatus("PROCESSING")
            .filter((order) => DateTime.isLessThanOrEqualTo(order.leaseUntil, at) && !locked.has(order.id))
            .sort((a, b) => DateTime.Order(a.leaseUntil, b.leaseUntil))
            .slice(0, max)
            .map((order) => copyOf(store(expire(order, at))))
        )
    })
  })
)
