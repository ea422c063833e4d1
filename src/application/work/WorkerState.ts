import { type Cause, Clock, Effect, type Fiber, Metric, Queue, type Scope, Semaphore } from "effect"
import type { Deadline } from "../../concurrency/Deadlines.ts"
import { makeSignal, type Signal } from "../../concurrency/Signal.ts"
import { makeSlots, type Slots } from "../../concurrency/Slots.ts"
import type { HeldOrder, Outcome, ProcessingOrder } from "../../domain/Order.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import type { OrderTypes } from "../../domain/OrderTypes.ts"
import type { Turns } from "../ports/WorkStore.ts"
import { type CircuitBreakers, makeCircuitBreakers, type Probing } from "./CircuitBreakers.ts"
import { makeTypeStates, type TypeState, type TypeStates } from "./TypeStates.ts"
import { inFlight, processingSeconds } from "./WorkMetrics.ts"
import { WorkerSettings } from "./WorkerSettings.ts"

/**
 * The maximum number of outcomes that wait for the settle loop. Further attempts keep their slot until there is room.
 */
const maxFinished = 1024

/**
 * Why an attempt was interrupted: it reached its time limit, another worker may have its order, a cancel of its order
 * was requested, or this worker stops.
 */
type Interruption = "timeout" | "lease lost" | "cancelled" | "worker stopped"

/** An order that this worker has started and not settled. */
export interface Attempt {
  readonly order: ProcessingOrder
  readonly typeState: TypeState
  /** Whether its breaker was open when it started. */
  readonly probing: Probing
  /** Its index in the list of attempts. */
  readonly index: number
  /**
   * `processing`: the processor runs. `committing`: the processor's writes and the outcome are stored in one
   * transaction. `ended`: the outcome waits for the settle loop, or the attempt was dropped. A timeout, a lost lease or
   * a cancel interrupts the attempt only while it is `processing`.
   */
  phase: "processing" | "committing" | "ended"
  /** When its processor was started, in nanoseconds of the monotonic clock. */
  startedAt: bigint
  /** The fiber to interrupt. Null until `start` has forked it, and again once the outcome is queued or dropped. */
  fiber: Fiber.Fiber<void> | null
  deadline: Deadline | null
  interruption: Interruption | null
}

/** An attempt whose outcome is decided and not stored yet. */
export interface FinishedAttempt {
  readonly attempt: Attempt
  readonly outcome: Outcome
}

/** The attempts of a worker that are not settled. */
export interface Attempts {
  readonly add: (order: ProcessingOrder, typeState: TypeState, probing: Probing) => Attempt
  /** Removes this attempt. Does nothing if it was removed before, even if its index is in use again. */
  readonly remove: (attempt: Attempt) => void
  readonly count: () => number
  readonly all: () => ReadonlyArray<Attempt>
  /** Returns those of these orders for which this worker has no attempt. */
  readonly withoutAttempt: (held: ReadonlyArray<HeldOrder>) => ReadonlyArray<HeldOrder>
}

interface Stopwatch {
  readonly start: (attempt: Attempt) => void
  readonly stop: (attempt: Attempt) => void
}

/** The state that the fibers of one worker share. */
export interface WorkerState {
  readonly settings: WorkerSettings
  /** The id under which the worker holds orders now. */
  id: string
  /** The order types that it takes; null: every type. */
  readonly types: ReadonlyArray<string> | null
  readonly typeStates: TypeStates
  readonly breakers: CircuitBreakers
  /** For each priority, the group that was served last. */
  turns: Turns
  /**
   * A claim takes slots and releases those that it did not fill. The slot of an attempt is released when its
   * outcome is queued or the attempt is dropped.
   */
  readonly slots: Slots
  readonly attempts: Attempts
  /** Measures how long the processor of an attempt runs. */
  readonly stopwatch: Stopwatch
  /** Limits how many attempts commit writes concurrently, so that claims and heartbeats get a connection. */
  readonly writePermits: Semaphore.Semaphore
  /** The queue from the attempts to the settle loop. Ending it ends the loop. */
  readonly finished: Queue.Queue<FinishedAttempt, Cause.Done>
  /** Wakes the claim loop: an order may have become due, or may start that could not start before. */
  readonly claimNow: Signal
  /** Wakes the fiber that checks for cancels. */
  readonly findCancelsNow: Signal
  /** Makes the heartbeat report at once. */
  readonly reportNow: Signal
  /** Wakes the fiber that announces `freed`. */
  readonly announceNow: Signal
  /** The number of settled orders that may let orders start in other processes, and that were not announced yet. */
  freed: number
  /** The number of claims that have begun. */
  claims: number
  /** Whether a claim is running. */
  isClaiming: boolean
  /** Whether a claim failed without a reply: the store may have started orders that have no `Attempt` here. */
  isClaimInDoubt: boolean
  /** The orders without an attempt that the last heartbeat found, with their versions, and `claims` at that time. */
  unknown: { readonly versions: ReadonlyMap<OrderId, number>; readonly claims: number }
  /** Whether the worker is stopping. */
  isDraining: boolean
}

/** The state of a worker that has processors for these types and has started nothing. */
export const makeWorkerState = Effect.fnUntraced(function* (
  types: OrderTypes<unknown>
): Effect.fn.Return<WorkerState, never, Scope.Scope> {
  const settings = yield* WorkerSettings
  return {
    settings,
    id: settings.name,
    types: typesOf(types.names, settings.types ?? null),
    typeStates: yield* makeTypeStates(types),
    breakers: yield* makeCircuitBreakers,
    turns: {},
    slots: makeSlots(settings.concurrency),
    attempts: makeAttempts(),
    stopwatch: yield* makeStopwatch,
    writePermits: yield* Semaphore.make(settings.writeConcurrency),
    finished: yield* Queue.bounded<FinishedAttempt, Cause.Done>(maxFinished),
    claimNow: makeSignal(),
    findCancelsNow: makeSignal(),
    reportNow: makeSignal(),
    announceNow: makeSignal(),
    freed: 0,
    claims: 0,
    isClaiming: false,
    isClaimInDoubt: false,
    unknown: { versions: new Map(), claims: 0 },
    isDraining: false
  }
})

/** The types that the worker can process and is set to take. */
const typesOf = (processed: WorkerState["types"], wanted: WorkerState["types"]): WorkerState["types"] =>
  processed === null || wanted === null
    ? (processed ?? wanted)
    : wanted.filter((type) => processed.includes(type))

// Not a finalizer around the processor: that would add 2 µs to each attempt, and an order takes some 75 µs of CPU time
// while a backlog is processed.
const makeStopwatch: Effect.Effect<Stopwatch> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const context = yield* Effect.context()
  return {
    start: (attempt) => {
      attempt.startedAt = clock.monotonicTimeNanosUnsafe()
    },
    stop: ({ startedAt }) =>
      processingSeconds.updateUnsafe(Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e9, context)
  }
})

/**
 * Releases the slot of an attempt. If its type was at its maximum, wakes the claim loop, which may be waiting for this
 * although other slots are free.
 */
export const releaseSlot = ({ typeState }: Attempt, { claimNow, slots }: WorkerState): void => {
  slots.release(1)
  if (typeState.running-- === typeState.concurrency) claimNow.send()
}

/**
 * Interrupts an attempt. While the attempt commits its writes, only a stopping worker may interrupt it. Of
 * several reasons, the first is kept.
 */
export const interruptAttempt = (attempt: Attempt, reason: Interruption): void => {
  if (attempt.fiber === null) return
  if (attempt.phase === "committing" && reason !== "worker stopped") return
  attempt.interruption ??= reason
  attempt.fiber.interruptUnsafe()
}

/** Sets the gauge of orders that are started and not settled. */
export const recordInFlight = ({ attempts }: WorkerState): Effect.Effect<void> =>
  Effect.suspend(() => Metric.update(inFlight, attempts.count()))

// A list with a stack of free indexes. Not a Map: under constant insertion and deletion V8 keeps the deleted entries
// until a full collection (docs/adr/0007).
const makeAttempts = (): Attempts => {
  const list: Array<Attempt | null> = []
  const freeIndexes: Array<number> = []
  const all = () => list.filter((attempt) => attempt !== null)
  return {
    add: (order, typeState, probing) => {
      const index = freeIndexes.pop() ?? list.length
      const attempt: Attempt = {
        order,
        typeState,
        probing,
        index,
        phase: "processing",
        startedAt: 0n,
        fiber: null,
        deadline: null,
        interruption: null
      }
      return (list[index] = attempt)
    },
    remove: (attempt) => {
      if (list[attempt.index] !== attempt) return
      list[attempt.index] = null
      freeIndexes.push(attempt.index)
    },
    count: () => list.length - freeIndexes.length,
    all,
    withoutAttempt: (held) => {
      if (held.length === 0) return held
      const versions = new Map(all().map(({ order }) => [order.id, order.version]))
      return held.filter(({ id, version }) => versions.get(id) !== version)
    }
  }
}

/** Annotates log lines about an order with its ids. */
export const aboutOrder = ({ correlationId, id }: Pick<ProcessingOrder, "id" | "correlationId">) =>
  Effect.annotateLogs({ orderId: id, correlationId })
