import { DateTime, Duration, Effect } from "effect"
import { DeadLetterStore } from "../../../src/application/ports/DeadLetterStore.ts"
import { IntakeStore } from "../../../src/application/ports/IntakeStore.ts"
import { OrderReads } from "../../../src/application/ports/OrderReads.ts"
import { WorkStore } from "../../../src/application/ports/WorkStore.ts"
import type { Outcome } from "../../../src/domain/Order.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { failure } from "../../../src/domain/Failure.ts"
import { newOrder } from "../../TestOrders.ts"

const failed = failure("PROCESSING_FAILED", "no stock")

/** The events of an order that takes every statement of the hot path. */
export const everyWay = [
  "created",
  "started",
  "retried",
  "started",
  "failed",
  "reprocessed",
  "started",
  "completed",
  // The order with a key, and the one behind it.
  "created",
  "started",
  "cancelled",
  "created",
  "hastened",
  "started",
  "completed"
]

/** Takes orders with a key, in a group and of a type of their own through every step of the control of orders. */
const controlled = Effect.gen(function* () {
  const { control, intake, reads, work } = yield* allStores
  const lanes = { type: "ünïcödé", group: "😀 group '", orderingKey: "key \\ $$" }
  const [first, second] = [
    newOrder(lanes),
    newOrder({ ...lanes, notBefore: DateTime.add(yield* DateTime.now, { days: 1 }) })
  ]
  const claim = Effect.map(
    work.claim({ worker: "w", max: 10, lease: Duration.seconds(30), types: [lanes.type] }),
    ({ orders }) => orders
  )
  yield* control.setGroupLimits(lanes.group, { maxRunning: 1, ratePerSecond: 1000, maxPending: 10 })
  yield* control.pause({ type: lanes.type, group: null, reason: "test", resumeAt: null })
  yield* intake.submit([first, second])
  for (const { id } of yield* claim) return yield* Effect.die(`order ${id} of a paused type was started`)
  yield* reads.whyWaiting(first.id, { limit: 10 })
  yield* control.resume({ type: lanes.type, group: null })
  const started = yield* claim
  yield* control.cancel(first.id, { reason: "no longer needed" })
  yield* work.findCancelRequests("w")
  for (const order of started)
    yield* work.settle([{ order, outcome: { event: "released", detail: "stopped" } }])
  yield* control.run(second.id)
  for (const order of yield* claim) yield* work.settle([{ order, outcome: { event: "completed" } }])
  yield* control.deleteGroupLimits(lanes.group)
  yield* control.typesWithoutWorker
  yield* control.audit({ limit: 10, before: null })
  return [...(yield* reads.timeline(first.id)), ...(yield* reads.timeline(second.id))]
})

/** Takes orders through every statement of the hot path and of the control of orders, and returns their events. */
export const fullCircle = Effect.gen(function* () {
  const intake = yield* IntakeStore
  const work = yield* WorkStore
  const deadLetters = yield* DeadLetterStore
  const reads = yield* OrderReads
  const order = newOrder({ payload: { text: "😀 ünïcödé \\ ' \" $$" }, maxRetries: 2 })
  const attempt = Effect.fnUntraced(function* (outcome: Outcome) {
    const { orders } = yield* work.claim({ worker: "w", max: 10, lease: Duration.seconds(30) })
    yield* work.renew("w", Duration.seconds(30))
    for (const started of orders) yield* work.settle([{ order: started, outcome }])
  })
  yield* intake.submit([order])
  yield* attempt({ event: "retried", failure: failed, delay: Duration.zero })
  yield* attempt({ event: "failed", failure: failed })
  yield* deadLetters.find(order.id)
  yield* deadLetters.reprocess(order.id)
  yield* attempt({ event: "completed" })
  yield* work.expire(10)
  yield* reads.stats
  yield* reads.list({ limit: 10, after: null }, {})
  yield* reads.ping
  return [...(yield* reads.timeline(order.id)), ...(yield* controlled)].map(({ event }) => event)
})
