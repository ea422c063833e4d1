import { Data, DateTime, Duration, Effect, Result, Schema } from "effect"
import type { Claim, ClaimRequest, Settlement, Turns } from "../src/application/ports/WorkStore.ts"
import type { AllStores } from "../src/testing/AllStores.ts"
import type { DeadLetter } from "../src/domain/DeadLetter.ts"
import { failure } from "../src/domain/Failure.ts"
import type { FailureGroup } from "../src/domain/FailureGroup.ts"
import { type GroupLimits, noLimits } from "../src/domain/Groups.ts"
import {
  type HeldOrder,
  isLastAttempt,
  type Order,
  type Outcome,
  type PendingOrder,
  type ProcessingOrder
} from "../src/domain/Order.ts"
import type { OrderEvent } from "../src/domain/OrderEvent.ts"
import { OrderId } from "../src/domain/OrderId.ts"
import type { OrderFilter } from "../src/domain/OrderQueries.ts"
import type { WhyWaiting } from "../src/domain/WhyWaiting.ts"
import type { WorkerReport } from "../src/domain/Workers.ts"
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
const ifVersion = Schema.Literals(["any", "any", "current", "other"])
/** Meant for dead letters. */
const Target = { order: Which, ifVersion }

const Type = Schema.Literals(["default", "default", "a", "b"])
const Group = Schema.Literals(["g1", "g2"])
const NewOrder = Schema.Struct({
  order: upTo(6),
  type: Type,
  orderingKey: Schema.NullOr(Schema.Literals(["k1", "k1", "k2"])),
  group: Schema.NullOr(Schema.Literals(["g1", "g1", "g2"])),
  priority: Schema.Literals([0, 0, 5, 9]),
  maxRetries: Schema.Literals([0, 1, 1, 2, 3, 3]),
  notBefore: Schema.NullOr(Schema.Literals([-5000, 1, 1500]))
})
const Worker = Schema.Literals(["w1", "w2"])
const Claim = Schema.TaggedStruct("Claim", {
  worker: Worker,
  max: Schema.Literals([0, 1, 2, 3, 10]),
  lease: Lease,
  types: Schema.NullOr(Schema.Literals(["a", "default b", ""])),
  maxOfType: Schema.NullOr(Schema.Literals(["a", "default b"]))
})
/** A claim of everything, preceded by reading why each order waits. */
const ClaimAll = Schema.TaggedStruct("ClaimAll", { worker: Worker, lease: Lease })
const Fail = Schema.TaggedStruct("Fail", {
  ...Attempt,
  permanent: Schema.Literals([false, false, true]),
  delay: Delay
})
const Settle = Schema.Union([
  Schema.TaggedStruct("Complete", Attempt),
  Fail,
  Schema.TaggedStruct("Snooze", {
    ...Attempt,
    delay: Delay,
    detail: Schema.NullOr(Schema.Literal("later"))
  }),
  Schema.Union([Schema.TaggedStruct("Release", Attempt), Schema.TaggedStruct("Interrupt", Attempt)])
])
const Scope = {
  type: Schema.NullOr(Type),
  group: Schema.NullOr(Group)
}

const Expire = Schema.TaggedStruct("Expire", { max: Schema.Literals([1, 1, 2, 1000]) })
const Steer = Schema.Union([
  Schema.TaggedStruct("Pause", {
    ...Scope,
    resumeIn: Schema.NullOr(Schema.Literals([1, 1001, 5000, -1]))
  }),
  Schema.TaggedStruct("ResumeAny", { pause: upTo(3) }),
  Schema.TaggedStruct("SetLimits", {
    group: Group,
    maxRunning: Schema.NullOr(Schema.Literals([1, 2])),
    ratePerSecond: Schema.NullOr(Schema.Literals([0.7, 1, 3])),
    maxPending: Schema.NullOr(Schema.Literals([1, 5]))
  }),
  Schema.Union([Schema.TaggedStruct("Resume", Scope), Schema.TaggedStruct("DeleteLimits", { group: Group })]),
  Schema.TaggedStruct("MarkFixed", {
    group: upTo(3),
    version: Schema.NullOr(Schema.Literals(["1.2.3", "2.0.0"]))
  })
])

// The members of a union are equally likely, so repetition and nesting set their weights.
const Command = Schema.Union([
  Claim,
  Claim,
  ClaimAll,
  ClaimAll,
  Settle,
  Schema.Union([Settle, Fail]),
  Schema.TaggedStruct("SettleTogether", {
    attempts: Schema.Array(Settle).check(Schema.isMinLength(2), Schema.isMaxLength(4))
  }),
  Schema.TaggedStruct("Advance", {
    by: Schema.Literals([
      "to next due",
      "to next claim",
      "to next claim",
      "to next lease end",
      "to next lease end",
      1,
      1001,
      30_000
    ])
  }),
  Schema.Union([
    Schema.TaggedStruct("Advance", { by: Schema.Literals(["to next due", "to next lease end"]) }),
    Expire
  ]),
  Expire,
  Schema.Union([
    Schema.TaggedStruct("Reprocess", Target),
    Schema.TaggedStruct("Discard", { ...Target, reason: Schema.NullOr(Schema.Literal("test data")) })
  ]),
  Schema.TaggedStruct("Submit", {
    orders: Schema.Array(NewOrder).check(Schema.isMinLength(1), Schema.isMaxLength(3))
  }),
  Schema.Union([Schema.TaggedStruct("Cancel", Target), Schema.TaggedStruct("Run", { order: Which })]),
  Steer,
  Schema.Union([
    Steer,
    Schema.TaggedStruct("SettleAgain", {}),
    Schema.TaggedStruct("Renew", {
      worker: Worker,
      lease: Lease,
      types: Schema.NullOr(Schema.Literals(["a", "default b", "all"]))
    }),
    Schema.TaggedStruct("Deregister", { worker: Worker })
  ])
])
export type Command = typeof Command.Type

/**
 * The default limits of groups, which are the same in all processes; a submit of some orders; and up to 40 commands,
 * legal and illegal.
 */
export const History = Schema.Struct({
  defaults: Schema.Literals(["none", "none", "one running", "one a second"]),
  orders: Schema.Array(NewOrder).check(Schema.isMinLength(2), Schema.isMaxLength(5)),
  commands: Schema.Array(Command).check(Schema.isMaxLength(40))
})

/** The history as one list, starting with the submit. */
export const commandsOf = ({ commands, orders }: typeof History.Type): ReadonlyArray<Command> => [
  { _tag: "Submit", orders: orders.map((parts, order) => ({ ...parts, order })) },
  ...commands
]

/** The content of a store in a fixed order. */
export interface Record {
  readonly orders: ReadonlyArray<Order>
  readonly events: ReadonlyArray<readonly [OrderId, ReadonlyArray<OrderEvent>]>
  readonly deadLetters: ReadonlyArray<DeadLetter>
  readonly failureGroups: ReadonlyArray<FailureGroup>
}

const defaultLimitsOf: Readonly<{ [D in (typeof History.Type)["defaults"]]: GroupLimits }> = {
  none: noLimits,
  "one running": { ...noLimits, maxRunning: 1 },
  "one a second": { ...noLimits, ratePerSecond: 1 }
}

/** What the numbers in commands refer to, and what processes remember. */
export interface Past {
  record: Record
  readonly defaultLimits: GroupLimits
  readonly submitted: Set<OrderId>
  readonly claims: Array<ProcessingOrder>
  lastSettle: ReadonlyArray<Settlement>
  readonly turns: Map<string, Turns>
  readonly leaseEnds: Map<string, DateTime.Utc>
  /** When the next order can start, according to the last claim. */
  nextDue: DateTime.Utc | null
}
export const nothingYet = ({ defaults }: typeof History.Type): Past => ({
  record: { orders: [], events: [], deadLetters: [], failureGroups: [] },
  defaultLimits: defaultLimitsOf[defaults],
  submitted: new Set(),
  claims: [],
  lastSettle: [],
  turns: new Map(),
  leaseEnds: new Map(),
  nextDue: null
})

// The last one is never submitted. Their ids are not in the order of their numbers, so that sorting by id differs.
const ids = [3, 1, 4, 0, 2, 7, 6, 5].map((n) => OrderId.make(`018f0000-0000-7000-8000-00000000000${n}`))
const unknownId = ids[7] as OrderId
const idOf = (number: number): OrderId => ids[number] ?? unknownId

const ann = { by: "ann", correlationId: "c-1" }

const outcomeOf = (settle: typeof Settle.Type, order: ProcessingOrder): Outcome => {
  switch (settle._tag) {
    case "Complete":
      return { event: "completed" }
    case "Release":
      return { event: "released", detail: "stopped" }
    case "Snooze":
      return { event: "snoozed", delay: Duration.millis(settle.delay), detail: settle.detail }
    case "Interrupt":
      return { event: "cancelled" }
    case "Fail":
      if (settle.permanent)
        return { event: "failed", failure: failure("PERMANENT", `order ${order.id} is broken`) }
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
  meant: ReadonlyArray<OrderId>,
  { record }: Past
) => {
  const id = pick(order, meant, ids) ?? unknownId
  const version = record.orders.find((order) => order.id === id)?.version ?? 1
  if (ifVersion === "any") return { id, options: {} }
  return { id, options: { ifVersion: ifVersion === "current" ? version : version - 1 } }
}
const deadLettersOf = ({ record }: Past) => record.deadLetters.map(({ orderId }) => orderId)
const idsOf = ({ record }: Past, isMeant: (order: Order) => boolean) =>
  record.orders.filter(isMeant).map(({ id }) => id)

const byId = <A extends { readonly id: OrderId }>(orders: ReadonlyArray<A>): ReadonlyArray<A> =>
  [...orders].sort((a, b) => (a.id < b.id ? -1 : 1))
const heldOf = ({ cancelRequested, id, retryCount, updatedAt, version, worker }: HeldOrder): HeldOrder => ({
  id,
  version,
  retryCount,
  worker,
  updatedAt,
  cancelRequested
})
const orTag = <A>(effect: Effect.Effect<A, { readonly _tag: string }>) =>
  Effect.map(Effect.result(effect), (result) =>
    Result.isSuccess(result) ? result.success : result.failure._tag
  )

/** The duration of an advance: one millisecond if its target does not exist or is past. */
export const millisOf = (
  { by }: Extract<Command, { _tag: "Advance" }>,
  { leaseEnds, nextDue, record }: Past,
  now: DateTime.Utc
): number => {
  if (typeof by === "number") return by
  const times = {
    "to next due": record.orders.flatMap((order) => (order.status === "PENDING" ? [order.dueAt] : [])),
    "to next claim": nextDue === null ? [] : [nextDue],
    "to next lease end": Array.from(leaseEnds.values())
  }[by]
  const waits = times.map((time) => DateTime.toEpochMillis(time) - DateTime.toEpochMillis(now))
  return Math.min(...waits.filter((wait) => wait > 0), waits.some((wait) => wait > 0) ? Infinity : 1)
}

const typesOf = (names: string) => names.split(" ").filter((name) => name !== "")

const requestOf = (
  command: Extract<Command, { _tag: "Claim" | "ClaimAll" }>,
  { defaultLimits, turns }: Past
): ClaimRequest => {
  const { worker } = command
  const shared = {
    worker,
    lease: Duration.millis(command.lease),
    defaultLimits,
    ...(turns.has(worker) ? { turns: turns.get(worker) ?? {} } : {})
  }
  if (command._tag === "ClaimAll") return { ...shared, max: 100 }
  const { max, maxOfType, types } = command
  return {
    ...shared,
    max,
    ...(types === null ? {} : { types: typesOf(types) }),
    ...(maxOfType === null ? {} : { maxOfType: maxOfType === "a" ? { a: 1 } : { default: 1, b: 0 } })
  }
}

const report: WorkerReport = {
  host: "host-1",
  version: "1.2.3",
  role: "worker",
  types: null,
  capacity: 10,
  inFlight: 0,
  draining: false,
  breakers: []
}

/** Why each PENDING order waits, by id. */
const reasonsOf = ({ reads }: AllStores, { defaultLimits, record }: Past) =>
  Effect.forEach(
    record.orders.filter((order) => order.status === "PENDING"),
    ({ id }) => Effect.map(reads.whyWaiting(id, { limit: 2, defaultLimits }), (why) => [id, why] as const)
  )

/** The result of a claim. `nextDueIn` is compared apart from the rest, because it is a hint. */
export interface ClaimAnswer {
  readonly claim: Omit<Claim, "nextDueIn">
  readonly nextDueIn: Duration.Duration | null
  /** Whether the claim examined every order. */
  readonly isWhole: boolean
  /** Why each PENDING order waited before the claim; read only before a claim of everything. */
  readonly reasons: ReadonlyArray<readonly [OrderId, WhyWaiting | null]>
}
export class Claimed extends Data.Class<ClaimAnswer> {}

const claimOn = Effect.fnUntraced(function* (
  stores: AllStores,
  command: Extract<Command, { _tag: "Claim" | "ClaimAll" }>,
  past: Past
) {
  const request = requestOf(command, past)
  const isAll = command._tag === "ClaimAll"
  // So that the registry has a worker that takes every type.
  if (isAll) yield* stores.work.renew(request.worker, request.lease, report)
  const reasons = isAll ? yield* reasonsOf(stores, past) : []
  const { nextDueIn, ...claim } = yield* stores.work.claim(request)
  const isWhole =
    request.types === undefined && request.maxOfType === undefined && claim.orders.length < request.max
  return new Claimed({ claim, nextDueIn, isWhole, reasons })
})

/** Keeps what later commands refer to. */
export const remember = (command: Command, answer: unknown, past: Past, now: DateTime.Utc) => {
  if (!("worker" in command) || answer === "WorkerExpired") return
  if (command._tag === "Deregister") return
  const lease = (parts: number) => DateTime.add(now, { milliseconds: command.lease / parts })
  const before = past.leaseEnds.get(command.worker)
  // A claim extends a lease only if less than half of it is left.
  if (command._tag !== "Claim" || before === undefined || DateTime.isLessThan(before, lease(2)))
    past.leaseEnds.set(command.worker, lease(1))
  if (!(answer instanceof Claimed)) return
  const { claim, nextDueIn } = answer
  past.claims.push(...claim.orders)
  past.turns.set(command.worker, claim.turns)
  past.nextDue = nextDueIn === null ? null : DateTime.addDuration(now, nextDueIn)
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
        command.orders.map(({ notBefore, order, ...parts }) => {
          const due = notBefore === null ? null : DateTime.add(now, { milliseconds: notBefore })
          const id = idOf(order)
          past.submitted.add(id)
          return [id, newOrder({ ...parts, id, notBefore: due, payload: { order } })]
        })
      )
      return ({ intake }) => orTag(Effect.asVoid(intake.submit(Array.from(orders.values()))))
    }
    case "Claim":
    case "ClaimAll":
      return (stores) => orTag(claimOn(stores, command, past))
    case "Complete":
    case "Fail":
    case "Snooze":
    case "Release":
    case "Interrupt":
    case "SettleTogether":
    case "SettleAgain": {
      if (command._tag === "SettleTogether") past.lastSettle = settlementsOf(command.attempts, past)
      else if (command._tag !== "SettleAgain") past.lastSettle = settlementsOf([command], past)
      return ({ work }) => orTag(work.settle(past.lastSettle))
    }
    case "Renew": {
      const { types, worker } = command
      const reported =
        types === null
          ? undefined
          : { ...report, types: types === "all" ? null : typesOf(types), inFlight: 1 }
      return ({ work }) =>
        orTag(
          Effect.map(work.renew(worker, Duration.millis(command.lease), reported), (held) =>
            byId(held.map(heldOf))
          )
        )
    }
    case "Deregister":
      return ({ work }) => orTag(work.deregister(command.worker))
    case "Expire":
      return ({ work }) => orTag(Effect.map(work.expire(command.max), byId))
    case "Reprocess": {
      const { id, options } = targetOf(command, deadLettersOf(past), past)
      return ({ deadLetters }) => orTag(deadLetters.reprocess(id, { ...options, operator: ann }))
    }
    case "Discard": {
      const { id, options } = targetOf(command, deadLettersOf(past), past)
      const reason = command.reason === null ? {} : { reason: command.reason }
      return ({ deadLetters }) => orTag(deadLetters.discard(id, { ...options, ...reason }))
    }
    default:
      return controlCallOf(command, past, now)
  }
}

const controlCallOf = (
  command: Extract<
    Command,
    {
      _tag: "Cancel" | "Run" | "Pause" | "Resume" | "ResumeAny" | "SetLimits" | "DeleteLimits" | "MarkFixed"
    }
  >,
  past: Past,
  now: DateTime.Utc
): ((stores: AllStores) => Effect.Effect<unknown>) => {
  switch (command._tag) {
    case "Cancel": {
      const meant = idsOf(past, ({ status }) => status === "PENDING" || status === "PROCESSING")
      const { id, options } = targetOf(command, meant, past)
      return ({ control }) =>
        orTag(control.cancel(id, { ...options, reason: `cancelled as ${command.order}` }))
    }
    case "Run": {
      const isScheduled = (order: Order) =>
        order.status === "PENDING" && DateTime.isGreaterThan(order.dueAt, now)
      const id = pick(command.order, idsOf(past, isScheduled), ids) ?? unknownId
      return ({ control }) => orTag(control.run(id, ann))
    }
    case "Pause": {
      const { group, resumeIn, type } = command
      const resumeAt = resumeIn === null ? null : DateTime.add(now, { milliseconds: resumeIn })
      return ({ control }) => orTag(control.pause({ type, group, reason: "bank down", resumeAt }, ann))
    }
    case "Resume": {
      const { group, type } = command
      return ({ control }) => orTag(control.resume({ type, group }, ann))
    }
    case "ResumeAny":
      return ({ control }) =>
        orTag(
          Effect.flatMap(control.pauses, (pauses) => {
            const pause = pauses[command.pause % Math.max(1, pauses.length)]
            return pause === undefined ? Effect.void : control.resume(pause)
          })
        )
    case "SetLimits": {
      const { _tag, group, ...limits } = command
      return ({ control }) => orTag(control.setGroupLimits(group, limits, ann))
    }
    case "DeleteLimits":
      return ({ control }) => orTag(control.deleteGroupLimits(command.group))
    case "MarkFixed": {
      const { failureGroups } = past.record
      const { fingerprint = "none" } = failureGroups[command.group % Math.max(1, failureGroups.length)] ?? {}
      const version = command.version === null ? {} : { version: command.version }
      return ({ deadLetters }) => orTag(deadLetters.markFixed(fingerprint, { ...version, operator: ann }))
    }
  }
}

/** The failure groups that have entries. */
export const failureGroupsOf = ({ deadLetters }: AllStores) =>
  Effect.orDie(deadLetters.failureGroups({ limit: 1000, after: null }))

/** Everything the port returns about the orders submitted so far, by id. */
export const recordOf = Effect.fnUntraced(function* (stores: AllStores, { submitted }: Past) {
  const known = Array.from(submitted).sort()
  const orders = yield* Effect.forEach(known, stores.reads.find)
  const events = yield* Effect.forEach(known, (id) =>
    Effect.map(stores.reads.timeline(id), (timeline) => [id, timeline] as const)
  )
  const { entries: deadLetters } = yield* stores.deadLetters.list({ limit: 1000, after: null })
  return { orders, events, deadLetters, failureGroups: yield* failureGroupsOf(stores) } satisfies Record
}, Effect.orDie)

/** Why each order waits. */
export const whyOf = ({ reads }: AllStores, { defaultLimits, submitted }: Past) =>
  Effect.forEach(Array.from(submitted).sort(), (id) => reads.whyWaiting(id, { limit: 2, defaultLimits }))

/** The results and refusals of all other reads. */
export const answersOf = (stores: AllStores): Effect.Effect<unknown> => {
  const { control, deadLetters, intake, reads, work } = stores
  const newest = (filter: OrderFilter) => reads.list({ limit: 10, after: null }, filter)
  return Effect.all({
    ofOrders: Effect.forEach(ids, (id) =>
      Effect.all([
        orTag(reads.find(id)),
        orTag(reads.timeline(id)),
        orTag(reads.whyWaiting(id, { limit: 2 })),
        orTag(deadLetters.find(id))
      ])
    ),
    lists: Effect.forEach(
      [{}, { type: "a" }, { orderingKey: "k1" }, { group: "g1" }, { type: "b", group: "g2" }],
      (filter) => orTag(newest(filter))
    ),
    due: orTag(intake.countDue(1000)),
    scheduled: orTag(intake.countScheduled(1000, 1)),
    pendingOfGroups: orTag(
      Effect.map(intake.countPendingOfGroups(["g1", "g2", "g3"], null), (counts) =>
        [...counts].sort((a, b) => (a.group < b.group ? -1 : 1))
      )
    ),
    cancelRequests: Effect.forEach(["w1", "w2"], (worker) =>
      orTag(Effect.map(work.findCancelRequests(worker), (found) => [...found].sort()))
    ),
    pauses: orTag(control.pauses),
    groups: orTag(control.groups({ limit: 10, after: null })),
    workers: orTag(control.workers),
    // Numbers of the audit have gaps where transactions were rolled back.
    audit: orTag(
      Effect.map(control.audit({ limit: 100, before: null }), (entries) =>
        entries.map((entry) => ({ ...entry, number: 0 }))
      )
    )
  })
}

const startsFirst = (a: PendingOrder, b: PendingOrder) =>
  b.priority - a.priority || DateTime.Order(a.dueAt, b.dueAt) || (a.id < b.id ? -1 : 1)

/**
 * How a claim of everything contradicts the reasons read before it, or those read after it for the orders that still
 * wait; null if it does not. Exactly the orders that waited only for a free slot must start. If some of a group do not,
 * they must come after those that start, and their reason must now be a limit of the group.
 */
export const contradictionOf = (
  before: Record,
  { claim, reasons }: ClaimAnswer,
  after: ReadonlyMap<OrderId, WhyWaiting | null>
): string | null => {
  const started = new Set(claim.orders.map(({ id }) => id))
  const pending = new Map(
    before.orders.flatMap((order) => (order.status === "PENDING" ? [[order.id, order] as const] : []))
  )
  const free: Array<PendingOrder> = []
  for (const [id, why] of reasons) {
    const order = pending.get(id)
    if (order === undefined) return `${id} was not PENDING`
    if (why?.why === "no free slot") free.push(order)
    else if (started.has(id)) return `${id} started, although: ${why?.why}`
  }
  if (Array.from(started).some((id) => !pending.has(id))) return "an order started that was not PENDING"
  const left = new Map<string | null, PendingOrder>()
  for (const order of free.sort(startsFirst)) {
    if (started.has(order.id)) {
      if (left.has(order.group)) return `${order.id} started before ${left.get(order.group)?.id}`
      continue
    }
    left.set(order.group, order)
    const why = after.get(order.id)?.why
    if (why !== "group is full" && why !== "group has used its rate")
      return `${order.id} did not start: ${why}`
  }
  return null
}
