import { Clock, Context, DateTime, Duration, Effect, Layer } from "effect"
import { SqlError } from "effect/sql"
import { IntakeStore, type KeyedOrders, type StoredAnswer } from "../../application/ports/IntakeStore.ts"
import type { Writes } from "../../application/ports/OrderProcessor.ts"
import type {
  DeadLetterFilter,
  ListedOrder,
  Listing,
  OrderFilter,
  Page,
  Position
} from "../../domain/OrderQueries.ts"
import { DeadLetterStore } from "../../application/ports/DeadLetterStore.ts"
import { OrderReads } from "../../application/ports/OrderReads.ts"
import { UpkeepStore } from "../../application/ports/UpkeepStore.ts"
import {
  type Settlement,
  type SettleResult,
  WorkStore,
  WritesRefused
} from "../../application/ports/WorkStore.ts"
import type { DeadLetter } from "../../domain/DeadLetter.ts"
import {
  deadLetterOf,
  discard,
  expire,
  type FailedOrder,
  isDue,
  type NewOrder,
  type Order,
  type PendingOrder,
  type ProcessingOrder,
  reprocess,
  settle,
  start,
  submit,
  type Transition
} from "../../domain/Order.ts"
import { OrderNotFound, OrderNotInDeadLetterQueue, OrderVersionMismatch } from "../../domain/OrderErrors.ts"
import type { OrderEvent } from "../../domain/OrderEvent.ts"
import type { OrderId } from "../../domain/OrderId.ts"

// Longer than 150 lines because it is a whole store, read beside the statements of PostgreSQL.

interface Kept {
  readonly order: Order
  readonly events: ReadonlyArray<OrderEvent>
}

const make = Effect.sync(() => {
  const orders = new Map<OrderId, Kept>()
  // A look at what waits must not cost more the more orders are final: there as here an index.
  const byStatus: { readonly [S in Order["status"]]: Map<OrderId, Extract<Order, { status: S }>> } = {
    PENDING: new Map(),
    PROCESSING: new Map(),
    PROCESSED: new Map(),
    FAILED: new Map()
  }
  const deadLetters = new Map<OrderId, DeadLetter>()
  const locked = new Set<OrderId>()
  const answers = new Map<string, StoredAnswer & { readonly expiresAt: DateTime.Utc }>()

  // Whole milliseconds, as in PostgreSQL.
  const now = <A>(f: (at: DateTime.Utc) => A): Effect.Effect<A> =>
    Effect.map(Clock.currentTimeMillis, (millis) => f(DateTime.makeUnsafe(Math.floor(millis))))

  const put = (order: Order, events: Kept["events"]) => {
    const ofItsStatus: Map<OrderId, Order> = byStatus[order.status]
    ofItsStatus.set(order.id, order)
    orders.set(order.id, { order, events })
  }

  // Order, event and entry change in one step that nothing can interrupt: the transaction of this store.
  const keep = <To extends Order>(transition: Transition<To>): To => {
    const { event, order } = transition
    const before = orders.get(order.id)
    if (before !== undefined) byStatus[before.order.status].delete(order.id)
    put(order, [...(before?.events ?? []), event])
    const entry = deadLetterOf(transition)
    if (entry === null) deadLetters.delete(order.id)
    else deadLetters.set(order.id, entry)
    return order
  }

  const withStatus = <S extends Order["status"]>(status: S) => Array.from(byStatus[status].values())

  const submitAll = (batch: ReadonlyArray<NewOrder>, at: DateTime.Utc) => {
    for (const order of batch) if (!orders.has(order.id)) keep(submit(order, at))
  }

  const nameOf = ({ key, scope }: Pick<KeyedOrders, "scope" | "key">) => JSON.stringify([scope, key])
  const findAnswer = (key: Pick<KeyedOrders, "scope" | "key">, at: DateTime.Utc): StoredAnswer | null => {
    const kept = answers.get(nameOf(key))
    return kept !== undefined && DateTime.isGreaterThan(kept.expiresAt, at) ? kept : null
  }

  const submitOnce = (keyed: KeyedOrders, at: DateTime.Utc): StoredAnswer => {
    const kept = findAnswer(keyed, at)
    if (kept !== null) return kept
    const { answer, fingerprint, keepFor, requestId } = keyed
    answers.set(nameOf(keyed), {
      answer,
      fingerprint,
      requestId,
      expiresAt: DateTime.addDuration(at, keepFor)
    })
    submitAll(keyed.orders, at)
    return keyed
  }

  const deleteExpiredKeys = (max: number, at: DateTime.Utc) => {
    const expired = Array.from(answers).filter(([, { expiresAt }]) =>
      DateTime.isLessThanOrEqualTo(expiresAt, at)
    )
    for (const [name] of expired.slice(0, max)) answers.delete(name)
    return Math.min(max, expired.length)
  }

  const claim = (worker: string, lease: Duration.Duration, max: number, at: DateTime.Utc) => {
    const leaseEnds = withStatus("PROCESSING").map(({ leaseUntil }) => leaseUntil)
    const due: Array<PendingOrder> = []
    const later: Array<DateTime.Utc> = []
    for (const order of byStatus.PENDING.values()) {
      if (isDue(order, at)) due.push(order)
      else later.push(order.dueAt)
    }
    due.sort(bestFirst)
    return {
      orders: due.slice(0, max).map((order) => keep(start(order, worker, lease, at))),
      nextDueIn: untilFirst(later, at),
      nextLeaseEndIn: untilFirst(leaseEnds, at)
    }
  }

  const settleOne = (
    { order: { id, version, worker }, outcome }: Settlement,
    at: DateTime.Utc
  ): SettleResult => {
    const kept = orders.get(id)
    if (kept?.order.status === "PROCESSING" && kept.order.version === version) {
      keep(settle(kept.order, outcome, at))
      return "settled"
    }
    const next = kept?.events.find((event) => event.version === version + 1)
    return next !== undefined && next.event === outcome.event && next.worker === worker ? "repeated" : "stale"
  }

  // There is no transaction to roll writes back, so the order is locked while they run, as its row would be, and the
  // outcome is kept only once they have succeeded.
  const settleWithWrites = (settlement: Settlement, writes: Writes["writes"]) =>
    Effect.uninterruptibleMask(
      Effect.fnUntraced(function* (restore) {
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
        return yield* now((at) => settleOne(settlement, at))
      })
    )

  const renew = (worker: string, lease: Duration.Duration, at: DateTime.Utc) =>
    withStatus("PROCESSING")
      .filter((order) => order.worker === worker)
      .map((order): ProcessingOrder => {
        const renewed = { ...order, leaseUntil: DateTime.addDuration(at, lease) }
        put(renewed, orders.get(order.id)?.events ?? [])
        return renewed
      })

  const expireAll = (max: number, at: DateTime.Utc) =>
    withStatus("PROCESSING")
      .filter((order) => DateTime.isLessThanOrEqualTo(order.leaseUntil, at) && !locked.has(order.id))
      .sort((a, b) => DateTime.Order(a.leaseUntil, b.leaseUntil))
      .slice(0, max)
      .map((order) => keep(expire(order, at)))

  const deleteOldOrders = (
    status: "PROCESSED" | "FAILED",
    age: Duration.Duration,
    max: number,
    at: DateTime.Utc
  ) => {
    const old = withStatus(status)
      .filter(({ updatedAt }) => DateTime.isLessThan(updatedAt, DateTime.subtractDuration(at, age)))
      .sort((a, b) => DateTime.Order(a.updatedAt, b.updatedAt))
      .slice(0, max)
    for (const { id } of old) {
      orders.delete(id)
      byStatus[status].delete(id)
      deadLetters.delete(id)
    }
    return old.length
  }

  const list = (page: Page, filter: OrderFilter = {}) =>
    pageOf(
      Array.from(orders.values(), ({ order }) => withoutPayload(order)).filter((order) => {
        const { createdAfter, createdBefore, metadata = {}, retrying, status } = filter
        return (
          (status === undefined || order.status === status) &&
          (retrying !== true || (order.status === "PENDING" && order.retryCount > 0)) &&
          isWithin(order.createdAt, createdAfter, createdBefore) &&
          Object.entries(metadata).every(
            ([key, value]) => Object.hasOwn(order.metadata, key) && order.metadata[key] === value
          )
        )
      }),
      ({ createdAt, id }) => ({ at: createdAt, orderId: id }),
      page
    )

  const listDeadLetters = (page: Page, filter: DeadLetterFilter = {}) =>
    pageOf(
      Array.from(deadLetters.values()).filter((entry) => {
        const { failedAfter, failedBefore, reason = "", reasonCode } = filter
        return (
          (reasonCode === undefined || entry.reasonCode === reasonCode) &&
          entry.reason.includes(reason) &&
          isWithin(entry.failedAt, failedAfter, failedBefore)
        )
      }),
      ({ failedAt, orderId }) => ({ at: failedAt, orderId }),
      page
    )

  const find = (id: OrderId): Effect.Effect<Kept, OrderNotFound> =>
    Effect.suspend(() => {
      const kept = orders.get(id)
      return kept === undefined ? Effect.fail(new OrderNotFound({ orderId: id })) : Effect.succeed(kept)
    })

  const findDeadLetter = (id: OrderId) =>
    Effect.flatMap(find(id), () => {
      const entry = deadLetters.get(id)
      return entry === undefined
        ? Effect.fail(new OrderNotInDeadLetterQueue({ orderId: id }))
        : Effect.succeed(entry)
    })

  const take = Effect.fnUntraced(function* (
    id: OrderId,
    ifVersion: number | undefined,
    to: (order: FailedOrder, at: DateTime.Utc) => Transition<Order>
  ) {
    const at = yield* now((at) => at)
    // From here to the end nothing else can run, as in PostgreSQL's one statement: of many at once one succeeds.
    const order = orders.get(id)?.order
    if (order === undefined) return yield* new OrderNotFound({ orderId: id })
    if (ifVersion !== undefined && order.version !== ifVersion)
      return yield* new OrderVersionMismatch({ orderId: id })
    if (order.status !== "FAILED" || order.discardedAt !== null)
      return yield* new OrderNotInDeadLetterQueue({ orderId: id })
    return keep(to(order, at))
  })

  const countDueBefore = (id: OrderId, limit: number) =>
    Effect.flatMap(find(id), ({ order }) =>
      now((at) => {
        if (order.status !== "PENDING" || !isDue(order, at)) return null
        const before = withStatus("PENDING").filter(
          (other) => isDue(other, at) && bestFirst(other, order) < 0
        )
        return Math.min(limit, before.length)
      })
    )

  const stats = (at: DateTime.Utc) => {
    const all = Array.from(orders.values(), ({ order }) => order)
    const pending = withStatus("PENDING")
    const processed = withStatus("PROCESSED")
    const perSecond = (times: ReadonlyArray<DateTime.Utc>) =>
      times.filter((time) => DateTime.isGreaterThan(time, DateTime.subtract(at, { seconds: 10 }))).length / 10
    return {
      byStatus: {
        PENDING: pending.length,
        PROCESSING: byStatus.PROCESSING.size,
        PROCESSED: processed.length,
        FAILED: byStatus.FAILED.size
      },
      estimated: [],
      retrying: pending.filter(({ retryCount }) => retryCount > 0).length,
      deadLetters: deadLetters.size,
      oldestDueAge: oldestDueAge(pending, at),
      createdPerSecond: perSecond(all.map(({ createdAt }) => createdAt)),
      completedPerSecond: perSecond(processed.map(({ updatedAt }) => updatedAt)),
      asOf: at,
      truncated: false
    }
  }

  const afterCommit = (effect: Effect.Effect<void>) => effect

  const intake = IntakeStore.of({
    submit: (batch, keyed = []) =>
      now((at) => {
        submitAll(batch, at)
        return keyed.map((each) => submitOnce(each, at))
      }),
    findAnswer: (key) => now((at) => findAnswer(key, at)),
    countDue: (max) =>
      now((at) => {
        const final = [...withStatus("PROCESSED"), ...withStatus("FAILED")]
        const since = DateTime.subtract(at, { seconds: 10 })
        const lately = final.filter(({ updatedAt }) => DateTime.isGreaterThan(updatedAt, since)).length
        const due = withStatus("PENDING").filter((order) => isDue(order, at)).length
        return { due: Math.min(max + 1, due), drainPerSecond: due > max ? lately / 10 : 0 }
      }),
    countScheduled: (max, room) =>
      now((at) => {
        const later = withStatus("PENDING")
          .filter((order) => !isDue(order, at))
          .map(({ dueAt }) => dueAt)
          .sort(DateTime.Order)
        const next = later.length > max ? later[room - 1] : undefined
        const roomIn = next === undefined ? Duration.infinity : DateTime.distance(at, next)
        return {
          scheduled: Math.min(max + 1, later.length),
          roomIn: Duration.isGreaterThan(roomIn, Duration.hours(1)) ? Duration.infinity : roomIn
        }
      }),
    inTransaction: Effect.succeed(false),
    afterCommit
  })
  const work = WorkStore.of({
    claim: ({ lease, max, worker }) => now((at) => claim(worker, lease, max, at)),
    settle: (settlements) => now((at) => settlements.map((settlement) => settleOne(settlement, at))),
    settleWithWrites,
    renew: (worker, lease) => now((at) => renew(worker, lease, at)),
    expire: (max) => now((at) => expireAll(max, at))
  })
  const deadLetterStore = DeadLetterStore.of({
    list: (page, filter) => Effect.sync(() => listDeadLetters(page, filter)),
    find: findDeadLetter,
    reprocess: (id, options) => take(id, options?.ifVersion, reprocess),
    discard: (id, options) =>
      take(id, options?.ifVersion, (order, at) => discard(order, options?.reason ?? null, at)),
    afterCommit
  })
  const reads = OrderReads.of({
    find: (id) => Effect.map(find(id), ({ order }) => order),
    timeline: (id) => Effect.map(find(id), ({ events }) => events),
    eventsAfter: (positions, { maxAll, maxEach }) =>
      Effect.sync(() => {
        let left = maxAll
        return positions.map(({ after, id }) => {
          const later = (orders.get(id)?.events ?? []).filter(({ version }) => version > after)
          const events = later.slice(0, Math.min(maxEach, left))
          left -= events.length
          return events
        })
      }),
    countDueBefore,
    list: (page, filter) => Effect.sync(() => list(page, filter)),
    backlog: now((at) => {
      const pending = withStatus("PENDING")
      return {
        pending: pending.length,
        processing: byStatus.PROCESSING.size,
        oldestDueAge: oldestDueAge(pending, at)
      }
    }),
    stats: now(stats),
    ping: Effect.void
  })
  const upkeep = UpkeepStore.of({
    deleteOldOrders: (status, age, max) => now((at) => deleteOldOrders(status, age, max, at)),
    deleteExpiredKeys: (max) => now((at) => deleteExpiredKeys(max, at))
  })
  return Context.make(IntakeStore, intake).pipe(
    Context.add(WorkStore, work),
    Context.add(DeadLetterStore, deadLetterStore),
    Context.add(OrderReads, reads),
    Context.add(UpkeepStore, upkeep)
  )
})

const untilFirst = (times: ReadonlyArray<DateTime.Utc>, at: DateTime.Utc): Duration.Duration | null =>
  times.length === 0
    ? null
    : Duration.max(
        Duration.zero,
        DateTime.distance(
          at,
          times.reduce((a, b) => DateTime.min(a, b))
        )
      )

const oldestDueAge = (pending: ReadonlyArray<PendingOrder>, at: DateTime.Utc): Duration.Duration | null => {
  const due = pending.filter((order) => isDue(order, at)).map(({ dueAt }) => dueAt)
  return due.length === 0
    ? null
    : DateTime.distance(
        due.reduce((a, b) => DateTime.min(a, b)),
        at
      )
}

const bestFirst = (a: PendingOrder, b: PendingOrder): number =>
  b.priority - a.priority || DateTime.Order(a.dueAt, b.dueAt) || (a.id < b.id ? -1 : 1)

const withoutPayload = (order: Order): ListedOrder => {
  const { payload: _, ...listed } = order
  return listed
}

const newestFirst = (a: Position, b: Position): number =>
  DateTime.Order(b.at, a.at) || (a.orderId === b.orderId ? 0 : a.orderId > b.orderId ? -1 : 1)

const isWithin = (at: DateTime.Utc, from: DateTime.Utc | undefined, until: DateTime.Utc | undefined) =>
  (from === undefined || DateTime.isGreaterThanOrEqualTo(at, from)) &&
  (until === undefined || DateTime.isLessThan(at, until))

const pageOf = <A>(
  all: ReadonlyArray<A>,
  positionOf: (entry: A) => Position,
  { after, limit }: Page
): Listing<A> => {
  const rest = all
    .map((entry) => ({ entry, position: positionOf(entry) }))
    .filter(({ position }) => after === null || newestFirst(position, after) > 0)
    .sort((a, b) => newestFirst(a.position, b.position))
  const page = rest.slice(0, limit)
  return {
    entries: page.map(({ entry }) => entry),
    next: rest.length > limit ? (page.at(-1)?.position ?? null) : null
  }
}

/** Orders in the memory of this process, by the pure transitions and Effect's Clock: for tests and for trying out. */
export const layer = Layer.effectContext(make)
