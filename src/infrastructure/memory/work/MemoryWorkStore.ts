import { DateTime, Duration, Effect, Layer } from "effect"
import { SqlError } from "effect/sql"
import type { Writes } from "../../../application/ports/OrderProcessor.ts"
import {
  type Claim,
  type ClaimRequest,
  type Settlement,
  type SettleResult,
  WorkerExpired,
  WorkStore,
  WritesRefused
} from "../../../application/ports/WorkStore.ts"
import type { Order } from "../../../domain/Order.ts"
import { expire, settle } from "../../../domain/OrderTransitions.ts"
import { atNow, copyOf, earliest, MemoryOrders } from "../MemoryOrders.ts"
import { chooseOrders } from "./ChooseOrders.ts"
import { nextDueAt } from "./NextDue.ts"

const untilFirst = (times: ReadonlyArray<DateTime.Utc>, at: DateTime.Utc): Duration.Duration | null => {
  const first = earliest(times)
  return first === null ? null : Duration.max(Duration.zero, DateTime.distance(at, first))
}

/** The time of the call, if the worker could extend its lease; fails if it was expired. */
const orExpired = (
  worker: string,
  extend: (at: DateTime.Utc) => boolean
): Effect.Effect<DateTime.Utc, WorkerExpired> =>
  Effect.filterOrFail(
    atNow((at) => (extend(at) ? at : null)),
    (at): at is DateTime.Utc => at !== null,
    () => new WorkerExpired({ worker })
  )

const claimOrders = (memory: MemoryOrders["Service"], request: ClaimRequest, at: DateTime.Utc): Claim => {
  memory.promote()
  const { orders, turns } = chooseOrders(memory, request, at)
  const nextDue = nextDueAt(memory, request, at)
  return {
    orders: orders.map(copyOf),
    turns,
    isIncomplete: false,
    nextDueIn: nextDue === null ? null : DateTime.distance(at, nextDue),
    nextLeaseEndIn: untilFirst(memory.workers.leaseEnds(), at)
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
  if (next?.worker !== worker) return "stale"
  const isCancelled = next.event === "cancelled" && outcome.event !== "completed"
  return isCancelled || next.event === outcome.event ? "repeated" : "stale"
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

/** The orders of workers whose lease has ended. A worker without orders leaves the registry. */
const expireOrders = (
  { heldBy, locked, store, workers }: MemoryOrders["Service"],
  max: number,
  at: DateTime.Utc
): ReadonlyArray<Order> => {
  const expired: Array<Order> = []
  for (const worker of workers.ended(at)) {
    if (expired.length >= max) break
    const held = heldBy(worker)
    const due = held
      .filter(({ id }) => !locked.has(id))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, max - expired.length)
    expired.push(...due.map((order) => copyOf(store(expire(order, at)))))
    if (due.length === held.length) workers.remove(worker)
    else if (due.length > 0) workers.refuse(worker)
  }
  return expired
}

export const layer = Layer.effect(
  WorkStore,
  Effect.gen(function* () {
    const memory = yield* MemoryOrders
    const { heldBy, workers } = memory

    return WorkStore.of({
      claim: (request) =>
        Effect.map(
          orExpired(request.worker, (at) => workers.hold(request.worker, request.lease, at)),
          (at) => claimOrders(memory, request, at)
        ),
      settle: (settlements) =>
        atNow((at) => settlements.map((settlement) => settleOrder(memory, settlement, at))),
      settleWithWrites: (settlement, writes) => settleWithWrites(memory, settlement, writes),
      renew: (worker, lease, report) =>
        Effect.map(
          orExpired(worker, (at) => workers.extend(worker, lease, at, report)),
          () => heldBy(worker)
        ),
      findCancelRequests: (worker) =>
        Effect.sync(() =>
          heldBy(worker)
            .filter(({ cancelRequested }) => cancelRequested !== null)
            .map(({ id }) => id)
        ),
      deregister: (worker) =>
        Effect.sync(() => {
          if (heldBy(worker).length === 0) workers.remove(worker)
        }),
      expire: (max) => atNow((at) => expireOrders(memory, max, at))
    })
  })
)
