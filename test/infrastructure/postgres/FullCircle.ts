import { Duration, Effect } from "effect"
import { DeadLetterStore } from "../../../src/application/ports/DeadLetterStore.ts"
import { IntakeStore } from "../../../src/application/ports/IntakeStore.ts"
import { OrderReads } from "../../../src/application/ports/OrderReads.ts"
import { WorkStore } from "../../../src/application/ports/WorkStore.ts"
import type { Outcome } from "../../../src/domain/Order.ts"
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
  "completed"
]

/** Takes one order through every statement of the hot path and returns its events. */
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
  return (yield* reads.timeline(order.id)).map(({ event }) => event)
})
