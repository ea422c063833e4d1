import { Effect, type Layer } from "effect"
import {
  type Attempt,
  type AttemptError,
  OrderProcessor,
  type Writes
} from "../application/ports/OrderProcessor.ts"
import type { OrderId } from "../domain/OrderId.ts"
import type { OrderType } from "../domain/OrderType.ts"

/** What one run of an order does: it completes, fails with the given error, or does the given work. */
export type Step<P, N extends string = string> =
  "completes" | AttemptError | ((attempt: Attempt<P, N>) => Effect.Effect<void | Writes, AttemptError>)

/** A processor that follows a script, and the attempts that it was given. */
export interface ScriptedProcessor<N extends string, P> {
  readonly layer: Layer.Layer<OrderProcessor<N, P>>
  /** Every attempt that has started, oldest first. New attempts are added to this same array. */
  readonly attempts: ReadonlyArray<Attempt<P, N>>
}

/**
 * A processor that does the n-th step in the n-th run of each order, and the last step in all runs after that. A run
 * after a reprocess continues in the script, although its attempt is 1 again.
 */
export const scriptedProcessor = <N extends string, P>(
  type: OrderType<N, P>,
  ...script: readonly [Step<P, N>, ...ReadonlyArray<Step<P, N>>]
): ScriptedProcessor<N, P> => {
  const attempts: Array<Attempt<P, N>> = []
  const runs = new Map<OrderId, number>()
  const layer = OrderProcessor.layer(type, (attempt) =>
    Effect.suspend((): Effect.Effect<void | Writes, AttemptError> => {
      attempts.push(attempt)
      const run = runs.get(attempt.orderId) ?? 0
      runs.set(attempt.orderId, run + 1)
      const step = script[Math.min(run, script.length - 1)] ?? script[0]
      if (step === "completes") return Effect.void
      return typeof step === "function" ? step(attempt) : Effect.fail(step)
    })
  )
  return { layer, attempts }
}
