import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Layer } from "effect"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { explain } from "../../../src/application/watch/ExplainOrder.ts"
import { failure } from "../../../src/domain/Failure.ts"
import { DefaultGroupLimits, noLimits } from "../../../src/domain/Groups.ts"
import { OrderId } from "../../../src/domain/OrderId.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as Order from "../../../src/domain/OrderTransitions.ts"
import type { Pause } from "../../../src/domain/Pauses.ts"
import type { WhyWaiting } from "../../../src/domain/WhyWaiting.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { storesOf } from "../../../src/testing/AllStores.ts"
import { newOrder } from "../../TestOrders.ts"

const at = (second: number) => DateTime.makeUnsafe(`2026-11-22T12:00:${String(second).padStart(2, "0")}.000Z`)
const id = OrderId.make("00000000-0000-7000-8000-000000000001")
const submit = (notBefore: DateTime.Utc | null) =>
  Order.submit(newOrder({ id, type: "invoice", group: "acme", maxRetries: 2, notBefore }), at(0))
const noSlot = (before: number): WhyWaiting => ({ why: "no free slot", before })
const declined = failure("PROCESSING_FAILED", "card declined")

it("one sentence explains an order in each state", () => {
  const events = []
  const created = submit(null)
  events.push(created.event)
  assert.strictEqual(
    explain(created.order, events, noSlot(0), at(1)),
    "due since 2026-11-22T12:00:00.000Z: waiting for a free worker"
  )
  for (const [before, words] of [
    [1, "1 order is"],
    [999, "999 orders are"],
    [3120, "3,120 orders are"],
    [10_000, "10,000 orders are"],
    [10_001, "more than 10,000 orders are"]
  ] as const) {
    assert.strictEqual(
      explain(created.order, events, noSlot(before), at(1)),
      `waiting: ${words} due before it; due since 2026-11-22T12:00:00.000Z`
    )
  }
  const later = submit(at(30))
  assert.strictEqual(
    explain(later.order, [later.event], { why: "not due" }, at(1)),
    "waiting until 2026-11-22T12:00:30.000Z, the time it was submitted for"
  )
  const started = Order.start(created.order, "w", at(1))
  events.push(started.event)
  assert.strictEqual(explain(started.order, events, null, at(1)), "running: attempt 1 of 2 in worker w")
  const retried = Order.settle(
    started.order,
    { event: "retried", failure: declined, delay: Duration.seconds(3) },
    at(2)
  )
  assert.strictEqual(
    explain(retried.order, [...events, retried.event], { why: "not due" }, at(2)),
    "waiting until 2026-11-22T12:00:05.000Z after attempt 1 of 2 failed: card declined"
  )
  const snoozed = Order.settle(
    started.order,
    { event: "snoozed", delay: Duration.seconds(3), detail: "bank closed" },
    at(2)
  )
  assert.strictEqual(
    explain(snoozed.order, [...events, snoozed.event], { why: "not due" }, at(2)),
    "waiting until 2026-11-22T12:00:05.000Z: attempt 1 of 2 was snoozed: bank closed"
  )
  const failed = Order.settle(
    { ...started.order, retryCount: 1 },
    { event: "failed", failure: declined },
    at(2)
  )
  const failedEvents = [...events, failed.event]
  assert.strictEqual(
    explain(failed.order, failedEvents, null, at(2)),
    "failed after 2 of 2 attempts: card declined; it is in the dead letter queue"
  )
  assert.strictEqual(failed.order.status, "FAILED")
  if (failed.order.status === "FAILED") {
    const discarded = Order.discard(failed.order, null, at(3))
    assert.strictEqual(
      explain(discarded.order, [...failedEvents, discarded.event], null, at(4)),
      "failed after 2 of 2 attempts: card declined; it was discarded at 2026-11-22T12:00:03.000Z"
    )
  }
  const done = Order.settle(started.order, { event: "completed" }, at(2))
  assert.strictEqual(explain(done.order, [...events, done.event], null, at(2)), "processed")
})

describe("a waiting order", () => {
  const { event, order } = submit(null)
  const sentence = (why: WhyWaiting) => explain(order, [event], why, at(1))
  const pause: Pause = {
    type: null,
    group: null,
    reason: "bank down",
    by: "ann",
    since: at(0),
    resumeAt: null
  }

  it.each<[sentence: string, why: WhyWaiting]>([
    [`waits behind order ${id} of its key`, { why: "behind its key", orderId: id }],
    ["no worker takes type invoice", { why: "no worker for its type" }],
    ["group acme runs its 5 of 5", { why: "group is full", running: 5, maxRunning: 5 }],
    ["group acme runs its 1,000 of 1,000", { why: "group is full", running: 1000, maxRunning: 1000 }],
    [
      "group acme has used its rate of 2 a second; the next may start at 2026-11-22T12:00:03.000Z",
      { why: "group has used its rate", ratePerSecond: 2, nextAt: at(3) }
    ],
    ["paused by ann: bank down", { why: "paused", pause }],
    ["paused: bank down", { why: "paused", pause: { ...pause, by: null } }],
    [
      "paused by ann: bank down (until 2026-11-22T12:00:30.000Z)",
      { why: "paused", pause: { ...pause, resumeAt: at(30) } }
    ],
    ["type invoice is paused by ann: bank down", { why: "paused", pause: { ...pause, type: "invoice" } }],
    ["group acme is paused by ann: bank down", { why: "paused", pause: { ...pause, group: "acme" } }],
    [
      "type invoice in group acme is paused by ann: bank down",
      { why: "paused", pause: { ...pause, type: "invoice", group: "acme" } }
    ]
  ])("is explained by its cause: %s", (expected, why) => {
    assert.strictEqual(sentence(why), expected)
  })

  it("that has started since it was read is explained by its time", () => {
    assert.strictEqual(
      explain(order, [event], null, at(1)),
      "due since 2026-11-22T12:00:00.000Z: waiting for a free worker"
    )
    const later = submit(at(30))
    assert.include(explain(later.order, [later.event], null, at(1)), "waiting until")
  })

  it.effect("is explained by the default limits where its group has none", () =>
    Effect.gen(function* () {
      const services = yield* Layer.build(
        Layer.fresh(OrderPlatform.layer(anyJsonObject)).pipe(
          Layer.provideMerge(Layer.fresh(Memory.layer)),
          Layer.provide(Layer.succeed(DefaultGroupLimits, { ...noLimits, maxRunning: 1 }))
        )
      )
      const { explain, setGroupLimits, submit } = Context.get(services, OrderPlatform.service(anyJsonObject))
      const { work } = storesOf(services)
      yield* submit({ payload: {}, group: "acme" })
      const waiting = yield* submit({ payload: {}, group: "acme" })
      yield* work.claim({ worker: "w", lease: Duration.minutes(1), max: 1 })
      assert.strictEqual((yield* explain(waiting)).explanation, "group acme runs its 1 of 1")
      yield* setGroupLimits("acme", { maxRunning: 2 })
      assert.include((yield* explain(waiting)).explanation, "waiting for a free worker")
    })
  )
})

describe("an order whose cancel was requested", () => {
  const created = submit(null)
  const started = Order.start(created.order, "w", at(1))
  const requested = (cancelRequested: string) => ({ ...started.order, cancelRequested })

  it("is running until its attempt has ended", () => {
    assert.strictEqual(
      explain(requested("fraud"), [], null, at(2)),
      "running: attempt 1 of 2 in worker w; a cancel was requested (fraud), so it is cancelled unless this attempt completes"
    )
    assert.include(explain(requested("Cancelled."), [], null, at(2)), "; a cancel was requested, so it is")
  })

  it("is cancelled, with the reason if there is one", () => {
    for (const [reason, expected] of [
      ["fraud", "cancelled: fraud"],
      ["Cancelled.", "cancelled"]
    ] as const) {
      const waiting = Order.cancel(created.order, reason, at(2))
      const running = Order.expire(requested(reason), at(2))
      for (const { event, order } of [waiting, running])
        assert.strictEqual(explain(order, [created.event, event], null, at(3)), expected)
    }
  })
})
