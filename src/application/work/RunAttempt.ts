import { Cause, Clock, Effect, Exit, Queue, Semaphore } from "effect"
import type { Outcome, ProcessingOrder } from "../../domain/Order.ts"
import type { OrderPayload } from "../../domain/OrderPayload.ts"
import { makeDeadlines } from "../../concurrency/Deadlines.ts"
import type { Slots } from "../../concurrency/Slots.ts"
import * as Metrics from "../OrderMetrics.ts"
import { type InHand, interrupt, type OrdersInHand } from "./RunningAttempts.ts"
import { OrderProcessor, type Writes } from "../ports/OrderProcessor.ts"
import { type AttemptFailure, Late, outcomeOfFailure, processOrder } from "./ProcessOrder.ts"
import { type Finished, reportSettled } from "./SettleAttempts.ts"
import { settleWithWrites } from "./SettleWithWrites.ts"
import { WorkerSettings } from "./WorkerSettings.ts"

type AttemptExit = Exit.Exit<void | Writes, AttemptFailure>

/**
 * Runs attempts, each in one fiber, and says what came of them. An attempt ends by itself, with an outcome unless its
 * writes carried that along; or it is interrupted: because it takes too long, which is an outcome too; because the worker
 * stops, and then its order is released; or because its lease is lost, and then it is none of our business any more.
 * Success without writes takes no other effect than the processor's own.
 */
export const runAttempts = Effect.fnUntraced(function* <P>(
  payload: OrderPayload<P>,
  inHand: OrdersInHand,
  slots: Slots,
  finished: Queue.Enqueue<Finished, Cause.Done>
) {
  const settings = yield* WorkerSettings
  const clock = yield* Clock.Clock
  const deadlines = yield* makeDeadlines(settings.attemptTimeout)
  const process = processOrder(payload, yield* OrderProcessor.service(payload))
  const commitWrites = settleWithWrites(
    yield* Semaphore.make(settings.writeConcurrency),
    settings.attemptTimeout
  )
  const context = yield* Effect.context<Effect.Services<ReturnType<typeof commitWrites>>>()
  const run = Effect.runForkWith(context)

  const noteInFlight = () => Metrics.inFlight.updateUnsafe(inHand.size(), context)

  const letGo = (attempt: InHand) => {
    inHand.drop(attempt)
    noteInFlight()
    slots.release(1)
  }

  const finish = (attempt: InHand, outcome: Outcome) => {
    attempt.finished = true
    attempt.fiber = null
    if (Queue.offerUnsafe(finished, { attempt, outcome })) return slots.release(1)
    // The settling loop is far behind; the hand waits for it, and so takes no new order.
    run(Queue.offer(finished, { attempt, outcome })).addObserver(() => slots.release(1))
  }

  /** Runs the rest of an attempt that needs more than its processor; nothing comes out where it settled all itself. */
  const goOn = (attempt: InHand, rest: ReturnType<typeof commitAndReport>) => {
    const fiber = run(rest)
    attempt.fiber = fiber
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit)) return exit.value === null ? letGo(attempt) : finish(attempt, exit.value)
      if (attempt.interrupted === "stopped") return release(attempt)
      letGo(attempt)
      // A defect here is a bug of ours; nobody else would ever hear of it. The heartbeat releases the order.
      if (Exit.hasDies(exit)) run(Effect.logError(`Order ${attempt.order.id} was dropped`, exit))
    })
  }

  const release = (attempt: InHand) =>
    finish(attempt, { event: "released", detail: `worker ${settings.name} was stopped` })

  const commitAndReport = Effect.fnUntraced(function* (attempt: InHand, writes: Writes["writes"]) {
    const written = yield* commitWrites(attempt.order, writes)
    if (typeof written !== "string") return written
    yield* reportSettled([{ order: attempt.order, outcome: completed, result: written }])
    return null
  })

  const ended = (attempt: InHand, exit: AttemptExit) => {
    if (attempt.interrupted === "late") return goOn(attempt, outcomeOfFailure(attempt.order, late))
    if (Exit.isSuccess(exit)) {
      if (exit.value === undefined) return finish(attempt, completed)
      // From now on its order may leave our leases at any moment because it is settled, and not because it is lost.
      attempt.finished = true
      return goOn(attempt, commitAndReport(attempt, exit.value.writes))
    }
    if (attempt.interrupted === "lost") return letGo(attempt)
    if (attempt.interrupted === "stopped") return release(attempt)
    return goOn(attempt, outcomeOfFailure(attempt.order, exit.cause))
  }

  const late = Cause.fail(new Late({ limit: settings.attemptTimeout }))

  const start = (attempt: InHand) => {
    const began = clock.monotonicTimeNanosUnsafe()
    const end = (exit: AttemptExit) => {
      const seconds = Number(clock.monotonicTimeNanosUnsafe() - began) / 1e9
      Metrics.processingSeconds.updateUnsafe(seconds, context)
      ended(attempt, exit)
    }
    const fiber = run(process(attempt.order))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return end(exit)
    attempt.fiber = fiber
    const deadline = deadlines.set(() => interrupt(attempt, "late"))
    fiber.addObserver((exit) => {
      deadlines.cancel(deadline)
      end(exit)
    })
  }

  return {
    /** Takes started orders in hand and begins to process them; each has a hand that was taken for it. */
    start: (orders: ReadonlyArray<ProcessingOrder>): void => {
      const attempts = orders.map(inHand.take)
      noteInFlight()
      for (const attempt of attempts) start(attempt)
    }
  }
})

const completed: Outcome = { event: "completed" }
