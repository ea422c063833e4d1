import { Duration, Effect } from "effect"
import { type Deadlines, makeDeadlines } from "../../concurrency/Deadlines.ts"
import { RetryPolicy } from "../../domain/RetryPolicy.ts"
import { finder, type OrderTypes } from "../../domain/OrderTypes.ts"
import { SettingsOfTypes, type TypeSettings } from "../../domain/TypeSettings.ts"
import { WorkerSettings } from "./WorkerSettings.ts"

/** The state that a worker keeps for one order type, or for all types without settings of their own. */
export interface TypeState {
  /** An attempt that takes longer is interrupted and fails with `TIMEOUT`. */
  readonly attemptTimeout: Duration.Duration
  readonly retryPolicy: RetryPolicy
  /** The time limits of the attempts. */
  readonly deadlines: Deadlines
  /** The maximum number of concurrent attempts; null: only that of the worker. */
  readonly concurrency: number | null
  /** The number of attempts that have a slot. */
  running: number
}

/** The states of all types. */
export interface TypeStates {
  readonly of: (type: string) => TypeState
  /** For each type with a maximum of its own, how many more attempts may run. Undefined if no type has one. */
  readonly room: () => Readonly<Record<string, number>> | undefined
}

/**
 * Makes the states of all types. A setting comes from the configuration (`SettingsOfTypes`), else from the `OrderType`,
 * else from the settings for all types.
 */
export const makeTypeStates = Effect.fnUntraced(function* (types: OrderTypes<unknown>) {
  const { attemptTimeout } = yield* WorkerSettings
  const retryPolicy = yield* RetryPolicy
  const configured = new Map(Object.entries(yield* SettingsOfTypes))
  const settingsOf = finder(types, ({ settings }) => settings)
  const deadlinesOf = yield* makeDeadlinesByTimeout

  const stateOf = Effect.fnUntraced(function* (type: string, configured: TypeSettings) {
    const own = settingsOf(type) ?? {}
    const timeout = configured.attemptTimeout ?? own.attemptTimeout ?? attemptTimeout
    const state: TypeState = {
      attemptTimeout: timeout,
      retryPolicy: { ...retryPolicy, ...own.retryPolicy, ...configured.retryPolicy },
      deadlines: yield* deadlinesOf(timeout),
      concurrency: configured.concurrency ?? own.concurrency ?? null,
      running: 0
    }
    return state
  })

  const states = new Map<string, TypeState>()
  for (const type of new Set([...(types.names ?? []), ...configured.keys()]))
    states.set(type, yield* stateOf(type, configured.get(type) ?? {}))
  // Without a maximum, because a claim must name each type that has one.
  const others: TypeState = { ...(yield* stateOf("", {})), concurrency: null }
  const limited = Array.from(states).flatMap(([type, state]) =>
    state.concurrency === null ? [] : [{ type, state, concurrency: state.concurrency }]
  )
  const result: TypeStates = {
    of: (type) => states.get(type) ?? others,
    room: () =>
      limited.length === 0
        ? undefined
        : Object.fromEntries(
            limited.map(({ concurrency, state, type }) => [type, Math.max(0, concurrency - state.running)])
          )
  }
  return result
})

/** One list of deadlines for each distinct timeout, because all deadlines of a list have the same timeout. */
const makeDeadlinesByTimeout = Effect.sync(() => {
  const byMillis = new Map<number, Deadlines>()
  return Effect.fnUntraced(function* (timeout: Duration.Duration) {
    const millis = Duration.toMillis(timeout)
    const deadlines = byMillis.get(millis) ?? (yield* makeDeadlines(timeout))
    byMillis.set(millis, deadlines)
    return deadlines
  })
})
