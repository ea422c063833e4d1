import { DateTime, Duration, Effect, Result, Stream } from "effect"
import type { Idempotency, Replayable } from "../../../src/application/intake/Idempotency.ts"
import type { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import type { Submission, WrongSubmission } from "../../../src/application/intake/Submission.ts"
import type { DeadLetter } from "../../../src/domain/DeadLetter.ts"
import type { FailureGroup } from "../../../src/domain/FailureGroup.ts"
import { failure } from "../../../src/domain/Failure.ts"
import { noLimits } from "../../../src/domain/Groups.ts"
import * as Order from "../../../src/domain/OrderTransitions.ts"
import type { Pause } from "../../../src/domain/Pauses.ts"
import type { RegisteredWorker } from "../../../src/domain/Workers.ts"
import {
  FailureGroupNotFound,
  GroupNotFound,
  OrderNotFound,
  OrderNotInDeadLetterQueue,
  OrderStateConflict
} from "../../../src/domain/OrderErrors.ts"
import { OrderId } from "../../../src/domain/OrderId.ts"

export const at = (text: string) => DateTime.makeUnsafe(text)
export const idNumber = (n: number) => OrderId.make(`00000000-0000-7000-8000-${String(n).padStart(12, "0")}`)

const fingerprint = "698a5f3c220e049f"

/** The path of an operation with its parameter filled in, so that the fake platform has what it names. */
export const pathOf = (template: string) =>
  template.replace(
    /\{\w+\}/,
    template.endsWith("/fixed") ? fingerprint : idNumber(template.endsWith("/run") ? 2 : 1)
  )

export const pendingOrder = Order.submit(
  {
    id: idNumber(1),
    type: "parcel",
    orderingKey: "dock-1",
    group: "north",
    payload: { sku: "A" },
    payloadVersion: 1,
    priority: 3,
    maxRetries: 2,
    metadata: { tenant: "t" },
    correlationId: "c-1",
    notBefore: null
  },
  at("2026-11-22T12:00:00.000Z")
)
const started = Order.start(pendingOrder.order, "w", at("2026-11-22T12:00:01.000Z"))
const outcome = { event: "failed", failure: failure("PERMANENT", "card declined") } as const
export const failedOrder = Order.settle(started.order, outcome, at("2026-11-22T12:00:02.000Z"))
export const failedHistory = [pendingOrder.event, started.event, failedOrder.event]

export const deadLetters: ReadonlyArray<DeadLetter> = [5, 4, 3, 2, 1].map((n) => ({
  orderId: idNumber(n),
  reason: "card declined",
  reasonCode: "PERMANENT",
  retryCount: 1,
  failedAt: at(`2026-11-22T12:00:0${n}.000Z`),
  fingerprint
}))

const failureGroup: FailureGroup = {
  fingerprint,
  reasonCode: "PERMANENT",
  type: "parcel",
  message: "card declined",
  count: 5,
  firstSeen: at("2026-11-22T12:00:01.000Z"),
  lastSeen: at("2026-11-22T12:00:05.000Z"),
  sampleOrderId: idNumber(5),
  versions: ["0.1.0"],
  state: "new"
}

export const pause: Pause = {
  type: null,
  group: "north",
  reason: "bank down",
  by: "ann",
  since: at("2026-11-22T12:00:00.000Z"),
  resumeAt: at("2026-11-22T13:00:00.000Z")
}

const workers: ReadonlyArray<RegisteredWorker> = [
  {
    id: "w",
    host: "north-1",
    version: "0.1.0",
    role: "worker",
    types: ["parcel"],
    capacity: 100,
    inFlight: 3,
    draining: false,
    breakers: [{ type: "coffee", state: "open", since: DateTime.makeUnsafe("2026-11-22T23:11:58.000Z") }],
    startedAt: at("2026-11-22T11:00:00.000Z"),
    seenAt: at("2026-11-22T12:00:01.000Z")
  }
]

const conflict = (id: OrderId) =>
  new OrderStateConflict({ orderId: id, orderStatus: "FAILED", message: "The order is FAILED." })

/** A platform whose order 1 failed and order 2 is pending, and that records what was submitted. */
export const fakePlatform = <T>(overrides: Partial<OrderPlatform<T>> = {}) => {
  const submitted: Array<Submission<T>> = []
  const known = (id: OrderId) =>
    id === idNumber(1)
      ? Effect.succeed(failedOrder.order)
      : id === idNumber(2)
        ? Effect.succeed({ ...pendingOrder.order, id })
        : Effect.fail(new OrderNotFound({ orderId: id }))
  const entry = (id: OrderId) =>
    Effect.flatMap(known(id), (order) =>
      order.status === "FAILED"
        ? Effect.succeed({ ...order })
        : Effect.fail(new OrderNotInDeadLetterQueue({ orderId: id }))
    )
  const keys: Array<Idempotency> = []
  function submit(submission: Submission<T>): Effect.Effect<OrderId>
  function submit(
    submission: Submission<T>,
    options: { readonly idempotency: Idempotency }
  ): Effect.Effect<Replayable<OrderId>>
  function submit(submission: Submission<T>, options?: { readonly idempotency: Idempotency }) {
    submitted.push(submission)
    if (options === undefined) return Effect.succeed(idNumber(9))
    keys.push(options.idempotency)
    return Effect.succeed({ answer: idNumber(9), replayed: options.idempotency.key === "again" })
  }
  const platform: OrderPlatform<T> = {
    submit,
    submitMany: (submissions: ReadonlyArray<Submission<T> | WrongSubmission>, options) => {
      const answer = submissions.map((each, n) => {
        if ("refused" in each) return Result.fail(each.refused)
        submitted.push(each)
        return Result.succeed(idNumber(n))
      })
      if (options?.idempotency !== undefined) keys.push(options.idempotency)
      return Effect.succeed({ answer, replayed: options?.idempotency?.key === "again" })
    },
    find: known,
    timeline: (id) => Effect.as(known(id), id === idNumber(1) ? failedHistory : [pendingOrder.event]),
    explain: (id) =>
      Effect.as(known(id), { events: id === idNumber(1) ? failedHistory : [], explanation: "because" }),
    watch: (id) => Effect.as(known(id), Stream.fromIterable(id === idNumber(1) ? failedHistory : [])),
    list: () => {
      const { payload: _, ...order } = pendingOrder.order
      return Effect.succeed({ entries: [order], next: null })
    },
    deadLetters: ({ after, limit }) => {
      const rest = deadLetters.filter(
        ({ failedAt }) => after === null || DateTime.isLessThan(failedAt, after.at)
      )
      const entries = rest.slice(0, limit)
      const last = entries.at(-1)
      const next =
        rest.length > limit && last !== undefined ? { at: last.failedAt, orderId: last.orderId } : null
      return Effect.succeed({ entries, next })
    },
    deadLetter: (id) =>
      Effect.map(entry(id), () => ({ ...deadLetters[4]!, orderId: id, attempts: [failedOrder.event] })),
    failureGroups: () => Effect.succeed({ entries: [failureGroup], next: null }),
    markFixed: (fingerprint) =>
      fingerprint === failureGroup.fingerprint
        ? Effect.succeed({ ...failureGroup, state: "fixed" })
        : Effect.fail(new FailureGroupNotFound({ fingerprint })),
    reprocess: (id) => entry(id),
    discard: (id) => entry(id),
    cancel: known,
    run: (id) =>
      Effect.filterOrFail(
        known(id),
        ({ status }) => status !== "FAILED",
        () => conflict(id)
      ),
    pause: () => Effect.void,
    resume: () => Effect.void,
    pauses: Effect.succeed([pause]),
    workers: Effect.succeed(workers),
    typesWithoutWorker: Effect.succeed(["invoice"]),
    setGroupLimits: (group, { maxPending = null, maxRunning = null, ratePerSecond = null }) =>
      Effect.succeed({ group, maxRunning, ratePerSecond, maxPending }),
    deleteGroupLimits: (group) =>
      group === "unknown" ? Effect.fail(new GroupNotFound({ group })) : Effect.void,
    groups: () => Effect.succeed({ entries: [{ group: "north", ...noLimits, maxRunning: 5 }], next: null }),
    audit: () =>
      Effect.succeed({
        entries: [
          {
            number: 7,
            at: at("2026-11-22T12:00:00.000Z"),
            by: "ann",
            action: "run",
            subject: idNumber(2),
            reason: null,
            correlationId: "c-2"
          }
        ],
        next: null
      }),
    backlog: Effect.succeed({ pending: 1, processing: 0, oldestDueAge: null }),
    stats: Effect.succeed({
      byStatus: { PENDING: 1, PROCESSING: 0, PROCESSED: 20_000, FAILED: 1 },
      estimated: ["PROCESSED"],
      retrying: 0,
      deadLetters: 1,
      oldestDueAge: Duration.millis(1500),
      createdPerSecond: 0.15,
      completedPerSecond: 12.34,
      asOf: at("2026-11-22T12:00:03.000Z"),
      truncated: false
    }),
    ping: Effect.void,
    ...overrides
  }
  return { keys, platform, submitted }
}
