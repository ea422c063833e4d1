import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Schema } from "effect"
import { deadLetterOf } from "../../src/domain/DeadLetter.ts"
import { defaultCancelReason, failure, type ReasonCode, workerLost } from "../../src/domain/Failure.ts"
import {
  attemptOf,
  type FailedOrder,
  isDue,
  isLastAttempt,
  type NewOrder,
  type Order,
  type PendingOrder,
  type ProcessingOrder
} from "../../src/domain/Order.ts"
import {
  cancel,
  discard,
  expire,
  hasten,
  reprocess,
  settle,
  start,
  submit,
  type Transition
} from "../../src/domain/OrderTransitions.ts"
import type { OrderEvent } from "../../src/domain/OrderEvent.ts"
import { edges } from "../../src/domain/OrderStatus.ts"
import { newOrder } from "../TestOrders.ts"

const at = (seconds: number) => DateTime.makeUnsafe(seconds * 1000)
const notYet = failure("PROCESSING_FAILED", "not yet")
const broken = failure("PERMANENT", "broken")
const oneSecond = Duration.seconds(1)
const oneHour = Duration.hours(1)

const submitted = (parts: Partial<NewOrder> = {}) => submit(newOrder(parts), at(0)).order
const started = (order: PendingOrder = submitted(), seconds = 1) => start(order, "w1", at(seconds)).order
const requested = (order: ProcessingOrder = started()) => ({ ...order, cancelRequested: "ordered twice" })
const retry = (order: ProcessingOrder, seconds = 2) =>
  settle(order, { event: "retried", failure: notYet, delay: oneSecond }, at(seconds))
const fail = (order: ProcessingOrder = started(), seconds = 2) =>
  settle(order, { event: "failed", failure: broken }, at(seconds))

function assertStatus<S extends Order["status"]>(
  order: Order,
  status: S
): asserts order is Extract<Order, { status: S }> {
  assert.strictEqual(order.status, status)
}
const pending = (order: Order): PendingOrder => {
  assertStatus(order, "PENDING")
  return order
}
const failed = (order: Order): FailedOrder => {
  assertStatus(order, "FAILED")
  return order
}

describe("Order", () => {
  it("a submitted order is PENDING in version 1, without a failure and due at once", () => {
    const given = newOrder({
      type: "coffee",
      orderingKey: "table 7",
      group: "shop 42",
      payload: { cups: 2 },
      priority: 4,
      metadata: { shop: "42" }
    })
    const { notBefore: _, ...kept } = given
    const { event, order } = submit(given, at(5))
    assert.deepStrictEqual(order, {
      ...kept,
      status: "PENDING",
      version: 1,
      retryCount: 0,
      failureReason: null,
      reasonCode: null,
      createdAt: at(5),
      updatedAt: at(5),
      dueAt: at(5)
    })
    assert.deepStrictEqual(event, {
      at: at(5),
      event: "created",
      from: null,
      to: "PENDING",
      version: 1,
      attempt: 1,
      worker: null,
      reason: null,
      reasonCode: null,
      detail: null
    })
  })

  it("an order is due at `notBefore`, or at once if that is past", () => {
    const later = submit(newOrder({ notBefore: at(60) }), at(5)).order
    assert.deepStrictEqual(later.dueAt, at(60))
    assert.deepStrictEqual([isDue(later, at(59)), isDue(later, at(60))], [false, true])
    assert.deepStrictEqual(submit(newOrder({ notBefore: at(4) }), at(5)).order.dueAt, at(5))
  })

  it("a started order is held by its worker, without a requested cancel", () => {
    const { event, order } = start(submitted(), "w1", at(7))
    assert.deepStrictEqual(
      [order.status, order.version, order.worker, order.cancelRequested, order.updatedAt, order.dueAt],
      ["PROCESSING", 2, "w1", null, at(7), at(0)]
    )
    assert.deepStrictEqual([event.event, event.attempt, event.worker], ["started", 1, "w1"])
  })

  it("a completed order is PROCESSED and holds neither worker nor due time", () => {
    const { event, order } = settle(started(), { event: "completed" }, at(3))
    assertStatus(order, "PROCESSED")
    assert.strictEqual(order.version, 3)
    for (const key of ["dueAt", "worker", "cancelRequested", "discardedAt"]) assert.notProperty(order, key)
    assert.deepStrictEqual([event.event, event.attempt, event.worker], ["completed", 1, "w1"])
  })

  it("a retried order counts the failure, keeps its reason and is due after the delay", () => {
    const { event, order } = retry(started(), 2)
    assertStatus(order, "PENDING")
    assert.deepStrictEqual([order.retryCount, order.failureReason, order.dueAt], [1, "not yet", at(3)])
    assert.deepStrictEqual(
      [event.event, event.attempt, event.reasonCode, event.reason, event.worker],
      ["retried", 1, "PROCESSING_FAILED", "not yet", "w1"]
    )
    assert.strictEqual(attemptOf(order), 2)
  })

  it("a completed order keeps the reason of its last failure", () => {
    const again = started(pending(retry(started()).order), 4)
    const { order } = settle(again, { event: "completed" }, at(5))
    assert.deepStrictEqual([order.status, order.retryCount, order.failureReason], ["PROCESSED", 1, "not yet"])
  })

  it("with maxRetries 3 the third failure is the last, and the FAILED order has retryCount 3", () => {
    let processing = started(submitted({ maxRetries: 3 }))
    assert.isFalse(isLastAttempt(processing))
    processing = started(pending(retry(processing).order), 4)
    assert.isFalse(isLastAttempt(processing))
    processing = started(pending(retry(processing).order), 6)
    assert.isTrue(isLastAttempt(processing))
    const { event, order } = fail(processing, 7)
    assertStatus(order, "FAILED")
    assert.deepStrictEqual([order.retryCount, event.attempt, order.failureReason], [3, 3, "broken"])
  })

  for (const maxRetries of [0, 1]) {
    it(`with maxRetries ${maxRetries} the single attempt is the last`, () => {
      const processing = started(submitted({ maxRetries }))
      assert.isTrue(isLastAttempt(processing))
      const { order } = expire(processing, at(40))
      assert.deepStrictEqual([order.status, order.retryCount], ["FAILED", 1])
    })
  }

  it("a failed order is FAILED, counts the failure and goes to the dead letter queue with its reason", () => {
    const transition = fail(started(), 9)
    const order = failed(transition.order)
    assert.deepStrictEqual([order.retryCount, order.failureReason, order.discardedAt], [1, "broken", null])
    assert.deepStrictEqual(deadLetterOf(transition), {
      orderId: order.id,
      reason: "broken",
      reasonCode: "PERMANENT",
      retryCount: 1,
      failedAt: at(9)
    })
  })

  it("a released order keeps its attempt and is due as it was", () => {
    const waiting = submitted({ notBefore: at(1) })
    const { event, order } = settle(started(waiting), { event: "released", detail: "stopped" }, at(20))
    assertStatus(order, "PENDING")
    assert.deepStrictEqual(
      [order.retryCount, order.failureReason, order.dueAt, attemptOf(order)],
      [0, null, at(1), 1]
    )
    assert.deepStrictEqual([event.event, event.attempt, event.detail], ["released", 1, "stopped"])
  })

  it("a snoozed order keeps its attempt and is due after the delay", () => {
    const second = started(pending(retry(started()).order), 4)
    const { event, order } = settle(
      second,
      { event: "snoozed", delay: Duration.seconds(30), detail: null },
      at(5)
    )
    assertStatus(order, "PENDING")
    assert.deepStrictEqual(
      [order.retryCount, order.failureReason, order.dueAt, attemptOf(order)],
      [1, "not yet", at(35), 2]
    )
    assert.deepStrictEqual([event.event, event.attempt, event.reason], ["snoozed", 2, null])
  })

  it("an expired order counts the failure as WORKER_LOST and is due at once", () => {
    const { event, order } = expire(started(), at(31))
    assertStatus(order, "PENDING")
    assert.deepStrictEqual(
      [order.retryCount, order.failureReason, order.dueAt],
      [1, workerLost.reason, at(31)]
    )
    assert.deepStrictEqual(
      [event.event, event.to, event.attempt, event.reasonCode, event.worker],
      ["expired", "PENDING", 1, "WORKER_LOST", "w1"]
    )
  })

  it("an order whose last attempt expires is FAILED and in the dead letter queue as WORKER_LOST", () => {
    const transition = expire(started(submitted({ maxRetries: 1 })), at(31))
    assert.deepStrictEqual([transition.event.event, transition.event.to], ["expired", "FAILED"])
    assert.strictEqual(deadLetterOf(transition)?.reasonCode, "WORKER_LOST")
  })

  it("a reprocessed order starts over: attempt 1, no reason, due at once", () => {
    const { event, order } = reprocess(failed(fail().order), at(100))
    assert.deepStrictEqual(
      [order.status, order.retryCount, order.failureReason, order.dueAt, attemptOf(order)],
      ["PENDING", 0, null, at(100), 1]
    )
    assert.deepStrictEqual([event.event, event.attempt, event.from], ["reprocessed", 1, "FAILED"])
    assert.strictEqual(start(order, "w2", at(101)).event.attempt, 1)
  })

  it("a discarded order stays FAILED without a dead letter; the operator's reason is only in its history", () => {
    const transition = discard(failed(fail().order), "test data", at(100))
    assert.deepStrictEqual(
      [transition.order.status, transition.order.failureReason, transition.order.discardedAt],
      ["FAILED", "broken", at(100)]
    )
    assert.deepStrictEqual(
      [transition.event.event, transition.event.reason, transition.event.reasonCode],
      ["discarded", "test data", null]
    )
    assert.isNull(deadLetterOf(transition))
  })

  it("a cancelled PENDING order is FAILED and discarded, with the reason given and its failures as they were", () => {
    const waiting = pending(retry(started()).order)
    const transition = cancel(waiting, "ordered twice", at(9))
    const { event, order } = transition
    assert.deepStrictEqual(
      [order.status, order.retryCount, order.failureReason, order.discardedAt],
      ["FAILED", 1, "ordered twice", at(9)]
    )
    assert.deepStrictEqual(
      [event.event, event.from, event.attempt, event.worker, event.reason, event.reasonCode],
      ["cancelled", "PENDING", 2, null, "ordered twice", "CANCELLED"]
    )
    assert.isNull(deadLetterOf(transition))
  })

  it("an order whose cancel was requested is PROCESSED if its attempt completes", () => {
    const { event, order } = settle(requested(), { event: "completed" }, at(3))
    assert.deepStrictEqual([order.status, order.failureReason, event.event], ["PROCESSED", null, "completed"])
    assert.notProperty(order, "cancelRequested")
  })

  const cancels: ReadonlyArray<readonly [string, (order: ProcessingOrder) => Transition<Order>]> = [
    ["fails with attempts left", (order) => retry(order, 9)],
    ["fails", (order) => fail(order, 9)],
    ["is released", (order) => settle(order, { event: "released", detail: "stopped" }, at(9))],
    ["is snoozed", (order) => settle(order, { event: "snoozed", delay: oneSecond, detail: "later" }, at(9))],
    ["is interrupted for it", (order) => settle(order, { event: "cancelled" }, at(9))],
    ["is lost with its worker", (order) => expire(order, at(9))]
  ]
  for (const [what, end] of cancels)
    it(`an order whose cancel was requested is cancelled if its attempt ${what}`, () => {
      for (const maxRetries of [1, 3]) {
        const transition = end(requested(started(submitted({ maxRetries }))))
        const { event, order } = transition
        assertStatus(order, "FAILED")
        assert.deepStrictEqual(
          [order.retryCount, order.failureReason, order.reasonCode, order.discardedAt, order.version],
          [0, "ordered twice", "CANCELLED", at(9), 3]
        )
        assert.deepStrictEqual(event, {
          at: at(9),
          event: "cancelled",
          from: "PROCESSING",
          to: "FAILED",
          version: 3,
          attempt: 1,
          worker: "w1",
          reason: "ordered twice",
          reasonCode: "CANCELLED",
          detail: null
        })
        assert.isNull(deadLetterOf(transition))
        assert.notProperty(order, "cancelRequested")
      }
    })

  it("an attempt that is settled as cancelled without a request has the default reason", () => {
    const { order } = settle(started(), { event: "cancelled" }, at(3))
    assertStatus(order, "FAILED")
    assert.deepStrictEqual([order.failureReason, order.discardedAt], [defaultCancelReason, at(3)])
  })

  it("a hastened order is due now, and keeps its failures", () => {
    const waiting = pending(
      settle(started(), { event: "retried", failure: notYet, delay: oneHour }, at(2)).order
    )
    const { event, order } = hasten(waiting, at(9))
    assert.deepStrictEqual(order, {
      ...waiting,
      version: waiting.version + 1,
      updatedAt: at(9),
      dueAt: at(9)
    })
    assert.deepStrictEqual(
      [event.event, event.from, event.to, event.attempt, event.reason],
      ["hastened", "PENDING", "PENDING", 2, null]
    )
  })
})

// The next transition of an order, picked by number; illegal choices fall back to a legal one.
const Choice = Schema.Struct({
  pick: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })),
  seconds: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 90 }))
})
const History = {
  maxRetries: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
  choices: Schema.Array(Choice).check(Schema.isMaxLength(40))
}

const attemptEnd = (order: ProcessingOrder, pick: number, now: DateTime.Utc): Transition<Order> => {
  switch (pick) {
    case 0:
      return settle(order, { event: "completed" }, now)
    case 1:
      return settle(order, { event: "released", detail: "stopped" }, now)
    case 2:
      return settle(order, { event: "snoozed", delay: oneSecond, detail: "later" }, now)
    case 3:
      return expire(order, now)
    case 4:
      return settle(order, { event: "failed", failure: broken }, now)
    case 5:
      return settle(requested(order), { event: "failed", failure: broken }, now)
    case 6:
      return expire(requested(order), now)
    default:
      return isLastAttempt(order)
        ? settle(order, { event: "failed", failure: notYet }, now)
        : settle(order, { event: "retried", failure: notYet, delay: oneSecond }, now)
  }
}

const next = (order: Order, pick: number, now: DateTime.Utc): Transition<Order> | null => {
  switch (order.status) {
    case "PENDING":
      if (pick === 9) return cancel(order, "ordered twice", now)
      if (isDue(order, now)) return start(order, `w${pick}`, now)
      return pick === 8 ? hasten(order, now) : null
    case "PROCESSING":
      return attemptEnd(order, pick, now)
    case "PROCESSED":
      return null
    case "FAILED":
      if (order.discardedAt !== null) return null
      return pick === 9 ? discard(order, null, now) : reprocess(order, now)
  }
}

/** The transitions of one order, starting with its submit. */
const transitionsOf = (maxRetries: number, choices: ReadonlyArray<typeof Choice.Type>) => {
  let now = at(0)
  const transitions: [Transition<Order>, ...Array<Transition<Order>>] = [
    submit(newOrder({ maxRetries }), now)
  ]
  let order: Order = transitions[0].order
  for (const { pick, seconds } of choices) {
    now = DateTime.add(now, { seconds })
    const transition = next(order, pick, now)
    if (transition === null) continue
    transitions.push(transition)
    order = transition.order
  }
  return transitions
}

const kept = [
  "id",
  "type",
  "orderingKey",
  "group",
  "payload",
  "priority",
  "maxRetries",
  "metadata",
  "correlationId"
] as const

/** The state of an order, derived from its history alone. */
const derived = (events: ReadonlyArray<OrderEvent>) => {
  let state = {
    status: "PENDING" as Order["status"],
    version: 0,
    retryCount: 0,
    failureReason: null as string | null,
    reasonCode: null as ReasonCode | null,
    worker: null as string | null,
    discardedAt: null as DateTime.Utc | null,
    createdAt: at(0),
    updatedAt: at(0)
  }
  for (const event of events) {
    const counts = event.event === "retried" || event.event === "failed" || event.event === "expired"
    const fails = counts || event.event === "cancelled"
    state = {
      status: event.to,
      version: event.version,
      retryCount: event.event === "reprocessed" ? 0 : state.retryCount + (counts ? 1 : 0),
      failureReason: fails ? event.reason : event.event === "reprocessed" ? null : state.failureReason,
      reasonCode: fails ? event.reasonCode : event.event === "reprocessed" ? null : state.reasonCode,
      worker: event.event === "started" ? event.worker : null,
      discardedAt: event.event === "discarded" || event.event === "cancelled" ? event.at : null,
      createdAt: event.event === "created" ? event.at : state.createdAt,
      updatedAt: event.at
    }
  }
  return state
}

const summary = (order: Order): ReturnType<typeof derived> => ({
  status: order.status,
  version: order.version,
  retryCount: order.retryCount,
  failureReason: order.failureReason,
  reasonCode: order.reasonCode,
  worker: order.status === "PROCESSING" ? order.worker : null,
  discardedAt: order.status === "FAILED" ? order.discardedAt : null,
  createdAt: order.createdAt,
  updatedAt: order.updatedAt
})

describe("every history of an order", () => {
  const everyHistory = (
    name: string,
    holds: (transitions: ReturnType<typeof transitionsOf>, maxRetries: number) => void
  ) =>
    it.prop(
      name,
      History,
      ({ choices, maxRetries }) => {
        holds(transitionsOf(maxRetries, choices), maxRetries)
        return true
      },
      { arbitrary: { runs: 500, size: 60 } }
    )

  everyHistory("raises the version by exactly one with every transition, from 1 on", (transitions) => {
    assert.deepStrictEqual(
      transitions.map(({ order }) => order.version),
      transitions.map((_, n) => n + 1)
    )
    assert.deepStrictEqual(
      transitions.map(({ event }) => event.version),
      transitions.map(({ order }) => order.version)
    )
  })

  everyHistory("takes only the edges that the table allows for each event", (transitions) => {
    transitions.forEach(({ event, order }, n) => {
      assert.strictEqual(event.from, transitions[n - 1]?.order.status ?? null)
      assert.strictEqual(event.to, order.status)
      const allowed: ReadonlyArray<readonly [string | null, string]> = edges[event.event]
      assert(
        allowed.some(([from, to]) => from === event.from && to === event.to),
        `${event.event}: ${event.from} -> ${event.to} is no edge`
      )
    })
  })

  everyHistory("can be derived from its history alone", (transitions) => {
    transitions.forEach(({ order }, n) => {
      assert.deepStrictEqual(derived(transitions.slice(0, n + 1).map(({ event }) => event)), summary(order))
    })
  })

  everyHistory(
    "never fails more often than maxRetries allows, and keeps what was submitted",
    (transitions, max) => {
      const [{ order: first }] = transitions
      for (const { order } of transitions) {
        assert(order.retryCount <= Math.max(1, max), `${order.retryCount} failures of ${max}`)
        if (order.status === "PENDING") assert(order.retryCount < Math.max(1, max))
        for (const key of kept) assert.strictEqual(order[key], first[key])
      }
    }
  )

  everyHistory("has a dead letter exactly while it is FAILED and not discarded", (transitions) => {
    let entry: ReturnType<typeof deadLetterOf> = null
    for (const transition of transitions) {
      entry = deadLetterOf(transition)
      const { order } = transition
      assert.strictEqual(entry !== null, order.status === "FAILED" && order.discardedAt === null)
      if (entry !== null) {
        assert.deepStrictEqual(
          [entry.orderId, entry.reason, entry.retryCount, entry.failedAt],
          [order.id, order.failureReason, order.retryCount, order.updatedAt]
        )
      }
    }
  })

  it("reaches every event", () => {
    const reached = new Set<string>()
    for (let pick = 0; pick <= 9; pick++) {
      for (let end = 0; end <= 9; end++) {
        const choices = [pick, end, end, pick, end, 9].map((pick) => ({ pick, seconds: pick === 8 ? 0 : 60 }))
        for (const { event } of transitionsOf(2, choices)) reached.add(event.event)
      }
    }
    assert.deepStrictEqual([...reached].sort(), Object.keys(edges).sort())
  })
})
