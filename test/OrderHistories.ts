import { DateTime, Duration, Effect, Result, Schema } from "effect"
import { type Claim, type Settlement } from "../src/application/ports/WorkStore.ts"
import type { AllStores } from "../src/testing/AllStores.ts"
import type { DeadLetter } from "../src/domain/DeadLetter.ts"
import { failure } from "../src/domain/Failure.ts"
import {
  isLastAttempt,
  type Lease,
  type Order,
  type Outcome,
  type ProcessingOrder
} from "../src/domain/Order.ts"
import type { OrderEvent } from "../src/domain/OrderEvent.ts"
import { OrderId } from "../src/domain/OrderId.ts"
import { newOrder } from "./TestOrders.ts"

// Histories as data: a list of commands that refer to orders and claims by small numbers, so that any list is valid,
// shrinks well and can be replayed. A number is resolved by what has happened so far.

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
/** Odd milliseconds too, so that leases and delays end exactly at, before and after a step. */
const Delay = Schema.Literals([0, 1, 333, 1001])
const Lease = Schema.Literals([1, 1001, 30_000])
/** An index into the orders that the command is meant for (up to 6), or into all orders, modulo their number. */
const Which = upTo(9)
const pick = <A>(which: number, meant: ReadonlyArray<A>, all: ReadonlyArray<A>): A | undefined => {
  const from = which <= 6 && meant.length > 0 ? meant : all
  return from[which % Math.max(1, from.length)]
}
/** Meant for running attempts; two in ten name a wrong version. */
const Attempt = { claim: Which, version: upTo(9) }
const anotherVersion: ReadonlyArray<number> = [0, 0, 0, 0, 0, 0, 0, 0, -1, -2]
/** Meant for dead letters. */
const Target = { order: Which, ifVersion: Schema.Literals(["any", "current", "other"]) }

const NewOrder = Schema.Struct({
  order: upTo(4),
  priority: Schema.Literals([0, 5, 9]),
  maxRetries: Schema.Literals([0, 1, 1, 2, 3]),
  notBefore: Schema.NullOr(Schema.Literals([-5000, 1, 1500]))
})
const Claim = Schema.TaggedStruct("Claim", {
  worker: Schema.Literals(["w1", "w2"]),
  max: Schema.Literals([0, 1, 2, 3, 10]),
  lease: Lease
})
const Fail = Schema.TaggedStruct("Fail", { ...Attempt, permanent: Schema.Boolean, delay: Delay })
const Settle = Schema.Union([
  Schema.TaggedStruct("Complete", Attempt),
  Fail,
  Schema.TaggedStruct("Snooze", {
    ...Attempt,
    delay: Delay,
    detail: Schema.NullOr(Schema.Literal("later"))
  }),
  Schema.TaggedStruct("Release", Attempt)
])

// The members of a union are equally likely, so repetition and nesting set their weights.
const Command = Schema.Union([
  Claim,
  Claim,
  Settle,
  Fail,
  Schema.TaggedStruct("SettleTogether", {
    attempts: Schema.Array(Settle).check(Schema.isMinLength(2), Schema.isMaxLength(4))
  }),
  Schema.TaggedStruct("Advance", {
    by: Schema.Literals(["to next due", "to next lease end", "to next lease end", 1, 1001, 30_000])
  }),
  Schema.TaggedStruct("Expire", { max: Schema.Literals([1, 2, 1000]) }),
  Schema.TaggedStruct("Reprocess", Target),
  Schema.TaggedStruct("Discard", { ...Target, reason: Schema.NullOr(Schema.Literal("test data")) }),
  Schema.Union([
    Schema.TaggedStruct("Submit", {
      orders: Schema.Array(NewOrder).check(Schema.isMinLength(1), Schema.isMaxLength(3))
    }),
    Schema.TaggedStruct("SettleAgain", {}),
    Schema.TaggedStruct("Renew", { worker: Schema.Literals(["w1", "w2"]), lease: Lease })
  ])
])
export type Command = typeof Command.Type

/** Two orders, then up to 40 commands, legal and illegal. */
export const History = Schema.Struct({
  first: NewOrder,
  second: NewOrder,
  commands: Schema.Array(Command).check(Schema.isMaxLength(40))
})

/** The history as one list, starting with the submit of its two orders. */
export const commandsOf = ({ commands, first, second }: typeof History.Type): ReadonlyArray<Command> => [
  { _tag: "Submit", orders: [{ ...first, order: 0 }] },
  { _tag: "Submit", orders: [{ ...second, order: 1 }] },
  ...commands
]

/** The content of a store in a fixed order. */
export interface Record {
  readonly orders: ReadonlyArray<Order>
  readonly events: ReadonlyArray<readonly [OrderId, ReadonlyArray<OrderEvent>]>
  readonly deadLetters: ReadonlyArray<DeadLetter>
}

/** What the numbers in commands refer to. */
export interface Past {
  record: Record
  readonly submitted: Set<OrderId>
  readonly claims: Array<ProcessingOrder>
  lastSettle: ReadonlyArray<Settlement>
}
export const nothingYet = (): Past => ({
  record: { orders: [], events: [], deadLetters: [] },
  submitted: new Set(),
  claims: [],
  lastSettle: []
})

// The last one is never submitted. Their ids are not in the order of their numbers, so that sorting by id differs.
const ids = [3, 1, 4, 0, 2, 5].map((n) => OrderId.make(`018f0000-0000-7000-8000-00000000000${n}`))
const unknownId = ids[5] as OrderId
const idOf = (number: number): OrderId => ids[number] ?? unknownId

const outcomeOf = (settle: typeof Settle.Type, order: ProcessingOrder): Outcome => {
  switch (settle._tag) {
    case "Complete":
      return { event: "completed" }
    case "Release":
      return { event: "released", detail: "stopped" }
    case "Snooze":
      return { event: "snoozed", delay: Duration.millis(settle.delay), detail: settle.detail }
    case "Fail":
      if (settle.permanent) return { event: "failed", failure: failure("PERMANENT", "broken") }
      return isLastAttempt(order)
        ? { event: "failed", failure: failure("PROCESSING_FAILED", "once too often") }
        : {
            event: "retried",
            failure: failure("PROCESSING_FAILED", "not yet"),
            delay: Duration.millis(settle.delay)
          }
  }
}

/** At most one settlement per order, as the port requires; none before the first claim. */
const settlementsOf = (attempts: ReadonlyArray<typeof Settle.Type>, { claims, record }: Past) => {
  const isLive = (claim: ProcessingOrder) =>
    record.orders.some(
      ({ id, status, version }) => id === claim.id && status === "PROCESSING" && version === claim.version
    )
  const live = claims.filter(isLive)
  const newestFirst = claims.toReversed()
  const settlements = new Map<OrderId, Settlement>()
  for (const settle of attempts) {
    const order = pick(settle.claim, live, newestFirst)
    if (order === undefined || settlements.has(order.id)) continue
    settlements.set(order.id, {
      order: { ...order, version: order.version + (anotherVersion[settle.version] ?? 0) },
      outcome: outcomeOf(settle, order)
    })
  }
  return Array.from(settlements.values())
}

const targetOf = (
  { ifVersion, order }: Pick<Extract<Command, { _tag: "Reprocess" }>, "order" | "ifVersion">,
  { record }: Past
) => {
  const entries = record.deadLetters.map(({ orderId }) => orderId)
  const id = pick(order, entries, ids) ?? unknownId
  const version = record.orders.find((order) => order.id === id)?.version ?? 1
  if (ifVersion === "any") return { id, options: {} }
  return { id, options: { ifVersion: ifVersion === "current" ? version : version - 1 } }
}

/** The order of leases that end at the same time is not specified, so all of them are expired. */
const expirable = (max: number, { record }: Past): number => {
  const ends = record.orders
    .flatMap((order) => (order.status === "PROCESSING" ? [DateTime.toEpochMillis(order.leaseUntil)] : []))
    .sort((a, b) => a - b)
  return ends[max - 1] === ends[max] ? 1000 : max
}

const byId = <A extends { readonly id: OrderId }>(orders: ReadonlyArray<A>): ReadonlyArray<A> =>
  [...orders].sort((a, b) => (a.id < b.id ? -1 : 1))
const leaseOf = ({ id, leaseUntil, retryCount, updatedAt, version, worker }: Lease): Lease => ({
  id,
  leaseUntil,
  retryCount,
  updatedAt,
  version,
  worker
})
// The next poll is a hint, which PostgreSQL computes in floating point seconds.
const wholeMillis = (wait: Duration.Duration | null) =>
  wait === null ? null : Math.round(Duration.toMillis(wait))
const inWholeMillis = ({ nextDueIn, nextLeaseEndIn, orders }: Claim) => ({
  orders,
  nextDueInMillis: wholeMillis(nextDueIn),
  nextLeaseEndInMillis: wholeMillis(nextLeaseEndIn)
})
const orTag = <A>(effect: Effect.Effect<A, { readonly _tag: string }>) =>
  Effect.map(Effect.result(effect), (result) =>
    Result.isSuccess(result) ? result.success : result.failure._tag
  )

/** The duration of an advance: one millisecond if its target does not exist or is past. */
export const millisOf = (
  { by }: Extract<Command, { _tag: "Advance" }>,
  { record }: Past,
  now: DateTime.Utc
): number => {
  if (typeof by === "number") return by
  const times = record.orders.flatMap((order) => {
    if (by === "to next due") return order.status === "PENDING" ? [order.dueAt] : []
    return order.status === "PROCESSING" ? [order.leaseUntil] : []
  })
  const waits = times.map((time) => DateTime.toEpochMillis(time) - DateTime.toEpochMillis(now))
  return Math.min(...waits.filter((wait) => wait > 0), waits.some((wait) => wait > 0) ? Infinity : 1)
}

/** Runs a command on a store; the result is what callers see, or the tag of the error. */
export const callOf = (
  command: Exclude<Command, { _tag: "Advance" }>,
  past: Past,
  now: DateTime.Utc
): ((stores: AllStores) => Effect.Effect<unknown>) => {
  switch (command._tag) {
    case "Submit": {
      const orders = new Map(
        command.orders.map(({ maxRetries, notBefore, order, priority }) => {
          const due = notBefore === null ? null : DateTime.add(now, { milliseconds: notBefore })
          const id = idOf(order)
          past.submitted.add(id)
          return [id, newOrder({ id, maxRetries, priority, notBefore: due, payload: { order } })]
        })
      )
      return ({ intake }) => orTag(Effect.asVoid(intake.submit(Array.from(orders.values()))))
    }
    case "Claim": {
      const lease = Duration.millis(command.lease)
      return ({ work }) =>
        orTag(Effect.map(work.claim({ worker: command.worker, lease, max: command.max }), inWholeMillis))
    }
    case "Complete":
    case "Fail":
    case "Snooze":
    case "Release":
    case "SettleTogether":
    case "SettleAgain": {
      if (command._tag === "SettleTogether") past.lastSettle = settlementsOf(command.attempts, past)
      else if (command._tag !== "SettleAgain") past.lastSettle = settlementsOf([command], past)
      return ({ work }) => orTag(work.settle(past.lastSettle))
    }
    case "Renew":
      return ({ work }) =>
        orTag(
          Effect.map(work.renew(command.worker, Duration.millis(command.lease)), (held) =>
            byId(held.map(leaseOf))
          )
        )
    case "Expire": {
      const max = expirable(command.max, past)
      return ({ work }) => orTag(Effect.map(work.expire(max), byId))
    }
    case "Reprocess": {
      const { id, options } = targetOf(command, past)
      return ({ deadLetters }) => orTag(deadLetters.reprocess(id, options))
    }
    case "Discard": {
      const { id, options } = targetOf(command, past)
      const reason = command.reason === null ? {} : { reason: command.reason }
      return ({ deadLetters }) => orTag(deadLetters.discard(id, { ...options, ...reason }))
    }
  }
}

/** Everything the port returns about the orders submitted so far, by id. */
export const recordOf = Effect.fnUntraced(function* (stores: AllStores, { submitted }: Past) {
  const known = Array.from(submitted).sort()
  const orders = yield* Effect.forEach(known, stores.reads.find)
  const events = yield* Effect.forEach(known, (id) =>
    Effect.map(stores.reads.timeline(id), (timeline) => [id, timeline] as const)
  )
  const { entries: deadLetters } = yield* stores.deadLetters.list({ limit: 1000, after: null })
  return { orders, events, deadLetters } satisfies Record
}, Effect.orDie)

/** The results and refusals of reads of single orders. */
export const answersOf = (stores: AllStores): Effect.Effect<unknown> =>
  Effect.forEach(ids, (id) =>
    Effect.all([
      orTag(stores.reads.find(id)),
      orTag(stores.reads.timeline(id)),
      orTag(stores.reads.countDueBefore(id, 2)),
      orTag(stores.deadLetters.find(id))
    ])
  )
