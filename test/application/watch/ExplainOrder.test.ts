import { assert, it } from "@effect/vitest"
import { DateTime, Duration } from "effect"
import { explain } from "../../../src/application/watch/ExplainOrder.ts"
import { failure } from "../../../src/domain/Failure.ts"
import * as Order from "../../../src/domain/OrderTransitions.ts"
import { OrderId } from "../../../src/domain/OrderId.ts"

const at = (second: number) => DateTime.makeUnsafe(`2026-11-22T12:00:${String(second).padStart(2, "0")}.000Z`)
const submit = (notBefore: DateTime.Utc | null) =>
  Order.submit(
    {
      id: OrderId.make("00000000-0000-7000-8000-000000000001"),
      payload: {},
      payloadVersion: 1,
      priority: 0,
      maxRetries: 2,
      metadata: {},
      correlationId: "c",
      notBefore
    },
    at(0)
  )
const declined = failure("PROCESSING_FAILED", "card declined")

it("one sentence explains an order in each state", () => {
  const events = []
  const created = submit(null)
  events.push(created.event)
  assert.strictEqual(
    explain(created.order, events, 0, at(1)),
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
      explain(created.order, events, before, at(1)),
      `waiting: ${words} due before it; due since 2026-11-22T12:00:00.000Z`
    )
  }
  const later = submit(at(30))
  assert.strictEqual(
    explain(later.order, [later.event], null, at(1)),
    "waiting until 2026-11-22T12:00:30.000Z, the time it was submitted for"
  )
  const started = Order.start(created.order, "w", Duration.seconds(30), at(1))
  events.push(started.event)
  assert.strictEqual(explain(started.order, events, null, at(1)), "running: attempt 1 of 2 in worker w")
  const retried = Order.settle(
    started.order,
    { event: "retried", failure: declined, delay: Duration.seconds(3) },
    at(2)
  )
  assert.strictEqual(
    explain(retried.order, [...events, retried.event], null, at(2)),
    "waiting until 2026-11-22T12:00:05.000Z after attempt 1 of 2 failed: card declined"
  )
  const snoozed = Order.settle(
    started.order,
    { event: "snoozed", delay: Duration.seconds(3), detail: "bank closed" },
    at(2)
  )
  assert.strictEqual(
    explain(snoozed.order, [...events, snoozed.event], null, at(2)),
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
