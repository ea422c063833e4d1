import { Cause, Context, Effect, Exit, Queue, Result } from "effect"
import { attemptOf, type Outcome, type ProcessingOrder } from "../../domain/Order.ts"
import { type AnyOrderType, finder, type OrderTypes } from "../../domain/OrderTypes.ts"
import { OrderProcessor, type ProcessorsOf, type Writes } from "../ports/OrderProcessor.ts"
import type { WorkStore } from "../ports/WorkStore.ts"
import { type AttemptFailure, AttemptTimeout, outcomeOfFailure, Undecodable } from "./AttemptOutcome.ts"
import { reportEnd } from "./ReportBreaker.ts"
import { settleWithWrites } from "./SettleWithWrites.ts"
import {
  aboutOrder,
  type Attempt,
  interruptAttempt,
  recordInFlight,
  releaseSlot,
  type WorkerState
} from "./WorkerState.ts"

/** The next step of an attempt whose processor has ended. */
type NextStep =
  | LastStep
  /** The app's writes and the outcome are stored in one transaction. */
  | { readonly step: "commit"; readonly writes: Writes["writes"] }

/** How an attempt ends. */
type LastStep =
  /** The settle loop stores the outcome. */
  | { readonly step: "settle"; readonly outcome: Outcome }
  /**
   * Nothing is left to store: the outcome was stored with the writes, could not be stored, or the order is no longer
   * held. `outcome` is that of the writes, null if there were none.
   */
  | { readonly step: "drop"; readonly outcome: Outcome | null }

/**
 * Makes the function that starts an attempt for each order, in separate fibers. The caller has taken a slot for each
 * order; the attempt releases it.
 */
export const makeStartAttempts = Effect.fnUntraced(function* <T>(types: OrderTypes<T>, state: WorkerState) {
  const process = yield* makeProcess(types)
  const fork = Effect.runForkWith(yield* Effect.context<WorkStore>())

  const start = (attempt: Attempt) => {
    state.stopwatch.start(attempt)
    const fiber = fork(runAttempt(attempt, process, state))
    // An attempt that never suspended has already ended and needs neither an interruption nor a timer.
    if (attempt.phase === "ended") return
    attempt.fiber = fiber
    if (attempt.phase === "processing")
      attempt.deadline = attempt.typeState.deadlines.set(() => interruptAttempt(attempt, "timeout"))
  }

  return (orders: ReadonlyArray<ProcessingOrder>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const attempts = orders.map((order) => {
        const typeState = state.typeStates.of(order.type)
        typeState.running++
        return state.attempts.add(order, typeState, state.breakers.start(order.type))
      })
      return Effect.andThen(
        recordInFlight(state),
        Effect.sync(() => attempts.forEach(start))
      )
    })
})

/**
 * One attempt, step by step. Only the processor and the commit of its writes can be interrupted. A timeout
 * interrupts this fiber, so the processor needs no fiber of its own (docs/adr/0007).
 */
const runAttempt = (
  attempt: Attempt,
  process: Process,
  state: WorkerState
): Effect.Effect<void, never, WorkStore> =>
  process(attempt.order).pipe(
    Effect.interruptible,
    Effect.exit,
    Effect.flatMap((exit) => decideNextStep(attempt, exit, state)),
    Effect.flatMap((next) =>
      next.step === "commit" ? commit(attempt, next.writes, state) : Effect.succeed(next)
    ),
    Effect.flatMap((next) =>
      Effect.andThen(
        reportEnd(attempt, next.outcome, state),
        next.step === "settle" ? queueOutcome(attempt, next.outcome, state) : drop(attempt, state)
      )
    ),
    Effect.uninterruptible
  )

/** The processing of an attempt. It succeeds with nothing, or with writes to be committed. */
type Process = (order: ProcessingOrder) => Effect.Effect<void | Writes, AttemptFailure>

/**
 * Processes each order by its type. A claim returns only orders of these types; an order of any other type fails as
 * undecodable.
 */
const makeProcess = Effect.fnUntraced(function* <T>(types: OrderTypes<T>) {
  // Each service is there, because the signature requires all of them.
  const context = (yield* Effect.context<ProcessorsOf<T>>()) as unknown as Context.Context<AnyProcessor>
  const processOf = finder(types, (type) =>
    processOrder(type, Context.get(context, OrderProcessor.service(type)))
  )
  return (order: ProcessingOrder): ReturnType<Process> => {
    const process = processOf(order.type)
    return process === undefined
      ? Effect.fail(new Undecodable({ reason: `This worker has no processor for the type "${order.type}".` }))
      : process(order)
  }
})

type AnyProcessor = OrderProcessor<string, any>

/** Decodes the stored payload and calls the app's processor with it. */
const processOrder =
  (type: AnyOrderType, { process }: AnyProcessor): Process =>
  (order) =>
    Effect.suspend((): Effect.Effect<void | Writes, AttemptFailure> => {
      const decoded = type.decode(order.payload, order.payloadVersion)
      if (Result.isFailure(decoded)) return new Undecodable({ reason: decoded.failure })
      return process({
        orderId: order.id,
        effectKey: order.id,
        type: order.type,
        orderingKey: order.orderingKey,
        group: order.group,
        payload: decoded.success,
        attempt: attemptOf(order),
        maxRetries: order.maxRetries,
        metadata: order.metadata,
        correlationId: order.correlationId
      })
    })

/**
 * The reason of an interruption takes precedence over the exit of the processor. Only a cancel comes too late if the
 * attempt has completed.
 */
const decideNextStep = (
  attempt: Attempt,
  exit: Exit.Exit<void | Writes, AttemptFailure>,
  state: WorkerState
): Effect.Effect<NextStep> => {
  const { attemptTimeout, deadlines } = attempt.typeState
  state.stopwatch.stop(attempt)
  if (attempt.deadline !== null) deadlines.cancel(attempt.deadline)
  attempt.deadline = null
  switch (attempt.interruption) {
    case "timeout":
      return settleFailure(attempt, Cause.fail(new AttemptTimeout({ limit: attemptTimeout })))
    case "lease lost":
      return Effect.succeed({ step: "drop", outcome: null })
    case "cancelled":
      return Effect.succeed(Exit.isSuccess(exit) && exit.value === undefined ? completed : cancelled)
    case "worker stopped":
      return Effect.succeed(released(state))
    case null:
      if (Exit.isFailure(exit)) return settleFailure(attempt, exit.cause)
      return Effect.succeed(
        exit.value === undefined ? completed : { step: "commit", writes: exit.value.writes }
      )
  }
}

const completed: LastStep = { step: "settle", outcome: { event: "completed" } }

const cancelled: LastStep = { step: "settle", outcome: { event: "cancelled" } }

const released = ({ settings }: WorkerState): LastStep => ({
  step: "settle",
  outcome: { event: "released", detail: `worker ${settings.name} was stopped` }
})

const settleFailure = (attempt: Attempt, cause: Cause.Cause<AttemptFailure>): Effect.Effect<NextStep> =>
  Effect.map(outcomeOfFailure(attempt, cause), (outcome) => ({ step: "settle", outcome }))

/**
 * Stores the writes and the outcome in one transaction. If the worker stops before the commit, neither is
 * stored.
 */
const commit = (attempt: Attempt, writes: Writes["writes"], state: WorkerState) => {
  attempt.phase = "committing"
  return settleWithWrites(attempt, writes, state).pipe(
    Effect.map((outcome): LastStep =>
      outcome === null ? { step: "drop", outcome: { event: "completed" } } : { step: "settle", outcome }
    ),
    Effect.interruptible,
    Effect.catchCause((cause): Effect.Effect<LastStep> => {
      if (attempt.interruption === "worker stopped") return Effect.succeed(released(state))
      if (attempt.interruption === "cancelled") return Effect.succeed(cancelled)
      // Only a bug leads here, because the expected failures of the store were handled. The order is dropped, and
      // the next heartbeat releases it.
      const said = Effect.logError(`Could not store the outcome of order ${attempt.order.id}`, cause)
      return Effect.as(aboutOrder(attempt.order)(said), { step: "drop", outcome: null })
    })
  )
}

/**
 * Queues the outcome for the settle loop. Waits while the queue is full, so that this worker claims no more than it can
 * settle.
 */
const queueOutcome = (attempt: Attempt, outcome: Outcome, state: WorkerState) => {
  attempt.phase = "ended"
  attempt.fiber = null
  return Effect.map(Queue.offer(state.finished, { attempt, outcome }), () => releaseSlot(attempt, state))
}

const drop = (attempt: Attempt, state: WorkerState): Effect.Effect<void> => {
  attempt.phase = "ended"
  attempt.fiber = null
  state.attempts.remove(attempt)
  releaseSlot(attempt, state)
  return recordInFlight(state)
}
